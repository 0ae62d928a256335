//! A site that is reached by TLS says so in every answer, so that browsers come by nothing else (RFC 6797).

use crate::hostile::{filled, method, routes};
use end_to_end::{World, reply::Reply};
use reqwest::{Client, Method};

const HEADER: &str = "strict-transport-security";

#[tokio::test]
async fn every_answer_of_an_https_site_says_that_it_is_reached_by_tls_alone_rfc_6797_7_1() {
    let world = World::new().await;
    let (_, base) = world.process_with(&[("SITE_URL", "https://jhe.example")]).await;
    let client = Client::builder().redirect(reqwest::redirect::Policy::none()).build().expect("a client");
    let known = routes().into_iter().filter(|route| route.method != "OPTIONS");
    let mut asked: Vec<(Method, String)> = known.map(|route| (method(&route), filled(&route.path, "1"))).collect();
    // What no function answers.
    asked.extend(
        ["/nothing", "/api/v1/nothing", "/o/nothing", "/FHIR/R5/Nothing/1/2"]
            .map(|path| (Method::GET, path.to_owned())),
    );
    asked.extend([(Method::DELETE, "/health".to_owned()), (Method::OPTIONS, "/api/v1/patients".to_owned())]);
    for (method, path) in asked {
        let reply = Reply::to(client.request(method.clone(), format!("{base}{path}"))).await;
        assert_eq!(reply.header(HEADER), "max-age=63072000; includeSubDomains", "{method} {path}");
    }
}

#[tokio::test]
async fn a_site_in_clear_text_does_not_say_so_rfc_6797_7_2() {
    let world = World::new().await;
    for path in ["/", "/health", "/accounts/login/", "/api/v1/users/profile", "/nothing"] {
        let reply = Reply::to(world.anonymous(Method::GET, path)).await;
        assert_eq!(reply.header(HEADER), "", "{path}");
    }
}
