//! `max_age` (OpenID Connect Core 1.0 section 3.1.2.1): a login is as old as it was when the request was opened.

use end_to_end::{
    World,
    browser::{Browser, email, form_token, location},
};
use jiff::Timestamp;
use reqwest::StatusCode;
use standalone::demo::PASSWORD;

/// A request with `max_age`, of a client that asks its users.
async fn asks(world: &World, max_age: u32) -> String {
    world.sql("UPDATE oauth_client SET skip_authorization = false WHERE id = 4").await;
    format!("{}&max_age={max_age}", world.authorize_path().await)
}

/// The same path as if it had been opened so many seconds ago.
async fn opened(world: &World, path: &str, seconds: i64) -> String {
    let at = Timestamp::now().as_millisecond() - seconds * 1000;
    let query = path.strip_prefix("/o/authorize/?").expect("a request");
    // As the server writes it: what is signed is the query in its own spelling.
    let query: String =
        form_urlencoded::Serializer::new(String::new()).extend_pairs(form_urlencoded::parse(query.as_bytes())).finish();
    let token = world.app.form_key().await.expect("a key").issue("opened", &format!("{at}\n{query}")).expect("a token");
    format!("/o/authorize/?{query}&opened={at}.{token}")
}

/// As if everybody had signed in so many seconds ago.
async fn signed_in_before(world: &World, seconds: u32) {
    world.sql(&format!("UPDATE login_session SET started_at = clock_timestamp() - interval '{seconds} seconds'")).await;
}

/// Where the form of a consent page goes.
fn action(text: &str) -> String {
    let (_, rest) = text.split_once("action=\"").expect("a form");
    rest.split('"').next().unwrap_or_default().replace("&amp;", "&")
}

#[tokio::test]
async fn who_reads_for_longer_than_max_age_need_not_sign_in_again() {
    let world = World::new().await;
    let path = asks(&world, 5).await;
    let browser = Browser::signed_in(&world, "manager_mary").await;
    let page = browser.get(&path).await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.text);
    assert!(action(&page.text).contains("&opened="), "{}", action(&page.text));

    // Signed in a minute ago, three seconds before the request was opened.
    signed_in_before(&world, 60).await;
    let late = opened(&world, &path, 57).await;
    let page = browser.get(&late).await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.text);
    let form = [("decision", "allow"), ("csrfmiddlewaretoken", &form_token(&page))];
    let allowed = browser.post(&action(&page.text), &form).await;
    assert!(location(&allowed).1.contains_key("code"), "{}", allowed.header("location"));
    // The form is that of the request as it was opened.
    let other = browser.post(&opened(&world, &path, 56).await, &form).await;
    assert_eq!(other.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_login_that_was_too_old_then_or_a_time_that_is_not_ours_leads_to_sign_in() {
    let world = World::new().await;
    let path = asks(&world, 5).await;
    let browser = Browser::signed_in(&world, "manager_mary").await;
    signed_in_before(&world, 60).await;
    let good = opened(&world, &path, 57).await;
    let (rest, token) = good.rsplit_once('.').expect("a token");
    let (begins, second) = rest.split_at(rest.len() - 1);
    let another = if second == "1" { "2" } else { "1" };
    let wider = good.replace("max_age=5", "max_age=50");
    assert_ne!(wider, good);
    for (what, path) in [
        ("no time", path.clone()),
        ("too old when it was opened", opened(&world, &path, 50).await),
        ("opened too long ago", opened(&world, &path, 16 * 60).await),
        ("in the future", opened(&world, &path, -30).await),
        ("not signed", format!("{rest}.AAAA")),
        ("another time", format!("{begins}{another}.{token}")),
        ("another request", wider),
        ("no number", format!("{path}&opened=x.{token}")),
    ] {
        assert_eq!(location(&browser.get(&path).await).0, "/accounts/login/", "{what}");
    }
}

#[tokio::test]
async fn a_sign_in_for_the_request_is_enough_however_long_the_way_back_takes() {
    let world = World::new().await;
    let path = asks(&world, 1).await;
    let browser = Browser::new(&world);
    let (_, parameters) = location(&browser.get(&path).await);
    assert!(parameters["next"].contains("&opened="), "{parameters:?}");
    browser.sign_in(&email("manager_mary"), PASSWORD, &parameters["next"]).await;
    assert_eq!(browser.get(&parameters["next"]).await.status, StatusCode::OK);
    // A request that was opened a minute ago, a login of half a minute ago.
    signed_in_before(&world, 30).await;
    assert_eq!(browser.get(&opened(&world, &path, 60).await).await.status, StatusCode::OK);
}
