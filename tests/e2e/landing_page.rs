//! `GET /`: where one lands who signs in without coming from an app.

use end_to_end::{
    World,
    browser::{Browser, email},
    reply::Reply,
};
use reqwest::{Method, StatusCode};

#[tokio::test]
async fn the_site_says_what_it_is_and_where_its_parts_are() {
    let world = World::new().await;
    let page = Reply::to(world.anonymous(Method::GET, "/")).await;
    assert_eq!((page.status, page.header("content-type")), (StatusCode::OK, "text/html; charset=utf-8"));
    assert!(page.header("content-security-policy").contains("default-src 'none'"), "{:?}", page.headers);
    let links: Vec<&str> = page.text.split("href=\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    assert!(links.contains(&"/accounts/login/") && links.contains(&"/FHIR/R5/metadata"), "{links:?}");
    // The picture of the page is in the page.
    for link in links.into_iter().filter(|link| link.starts_with('/')) {
        let reply = Reply::to(world.anonymous(Method::GET, link)).await;
        assert!(reply.status == StatusCode::OK || reply.status == StatusCode::FOUND, "{link}: {}", reply.status);
    }
    let signed_in = Browser::new(&world).sign_in(&email("viewer_victor"), standalone::demo::PASSWORD, "").await;
    assert_eq!((signed_in.status, signed_in.header("location")), (StatusCode::FOUND, "/"));
    // The demo world is loaded, and nothing of it shows.
    for secret in ["example.com", "Lifespan", "40001", "password"] {
        assert!(!page.text.contains(secret), "{secret}: {}", page.text);
    }
}
