//! `GET` and `POST /accounts/verify/`: a patient whose account a coordinator made chooses the first password. Public: the
//! token of the link is the proof that the address is the patient's.

use runtime::{Function, Needs, Protocol, link::LinkPage};
use store::LinkPurpose;

/// The function.
pub const FUNCTION: Function = Function::new("accounts-verify", Protocol::Page, Needs::Database, |app, request| {
    Box::pin(async { Ok(PAGE.handle(app, request).await?.0) })
});

const PAGE: LinkPage = LinkPage {
    purpose: LinkPurpose::SignUp,
    path: "/accounts/verify/",
    again: "/accounts/sign-up/",
    title: "Choose a password",
    done: "Your e-mail address is verified and your password is saved.",
};
