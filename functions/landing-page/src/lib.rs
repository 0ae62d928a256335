//! `GET /`: what this site is, and where its parts are. A person who signs in without coming from an app lands here. Public,
//! and the same for everybody.

use http::StatusCode;
use runtime::{Function, Needs, Protocol, Response, html, pages};

/// The function.
pub const FUNCTION: Function =
    Function::new("landing-page", Protocol::Page, Needs::Nothing, |_, _| Box::pin(async { Ok(landing()) }));

const BODY: &str = "\
<p>This server keeps health data that patients share with studies. Apps upload it as Open mHealth data points in FHIR \
Observations; researchers read what the patient has consented to.</p>\
<ul>\
<li><a href=\"/accounts/login/\">Sign in</a></li>\
<li><a href=\"/accounts/sessions/\">Your account</a></li>\
<li><a href=\"/accounts/logout/\">Sign out</a></li>\
<li><a href=\"/FHIR/R5/metadata\">FHIR capability statement</a></li>\
<li><a href=\"/FHIR/R5/.well-known/smart-configuration\">SMART configuration</a></li>\
<li><a href=\"/o/.well-known/openid-configuration\">OpenID configuration</a></li>\
</ul>";

fn landing() -> Response {
    html(StatusCode::OK, pages::page("Health data exchange", BODY))
}
