//! `GET` and `POST /accounts/reset/confirm/`: a person who forgot the password chooses a new one. Public: the token of the
//! link is the proof. All sessions and the access of all apps end.

use runtime::{Function, Needs, Protocol, link::LinkPage};
use store::LinkPurpose;

/// The function.
pub const FUNCTION: Function =
    Function::new("accounts-reset-confirm", Protocol::Page, Needs::Database, |app, request| {
        Box::pin(PAGE.handle(app, request))
    });

const PAGE: LinkPage = LinkPage {
    purpose: LinkPurpose::Reset,
    path: "/accounts/reset/confirm/",
    again: "/accounts/reset/",
    title: "Choose a new password",
    done: "Your new password is saved.",
};
