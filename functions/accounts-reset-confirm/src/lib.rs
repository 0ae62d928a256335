//! `GET` and `POST /accounts/reset/confirm/`: a person who forgot the password chooses a new one. Public: the token of the
//! link is the proof. All sessions and the access of all apps end.

use mail::Notice;
use runtime::{App, Failure, Function, Needs, Protocol, Request, Response, link::LinkPage};
use store::LinkPurpose;

/// The function.
pub const FUNCTION: Function =
    Function::new("accounts-reset-confirm", Protocol::Page, Needs::Database, |app, request| {
        Box::pin(handle(app, request))
    });

const PAGE: LinkPage = LinkPage {
    purpose: LinkPurpose::Reset,
    path: "/accounts/reset/confirm/",
    again: "/accounts/reset/",
    title: "Choose a new password",
    done: "Your new password is saved.",
};

/// The owner is told of a new password.
async fn handle(app: &App, request: &Request) -> Result<Response, Failure> {
    let (response, chosen_by) = PAGE.handle(app, request).await?;
    if let Some(email) = chosen_by {
        mail::tell(app, request, &email, Notice::PasswordReset).await;
    }
    Ok(response)
}
