//! Accounts and the people behind them.

use super::{ORGANIZATION, PATIENT};
use crate::{Kind, Shape, optional, required};

/// What a console keeps for a practitioner.
pub const SETTINGS: Shape = Shape {
    name: "UserSettings",
    fields: &[
        optional("currentOrganizationId", Kind::OrNull(&Kind::Integer)).about("The organization that was shown last."),
        optional("currentStudyId", Kind::OrNull(&Kind::Integer)).about("The study that was shown last."),
    ],
};

/// An account.
pub const USER: Shape = Shape {
    name: "User",
    fields: &[
        required("id", Kind::Integer).about("From 10001."),
        required("email", Kind::AnyText).about("Also the name to sign in with."),
        required("firstName", Kind::AnyText),
        required("lastName", Kind::AnyText),
        required("patient", Kind::OrNull(&Kind::Object(&PATIENT))).about("The record, if the account is a patient's."),
        required("userType", Kind::OneOf(&["patient", "practitioner"])),
        required("isSuperuser", Kind::Boolean),
        optional("isActive", Kind::Boolean).about("Whether it can be used: for super admins."),
        optional("settings", Kind::Object(&SETTINGS)).about("A practitioner's own: in the own profile."),
    ],
};

/// A practitioner with a role in an organization.
pub const MEMBER: Shape = Shape {
    name: "Member",
    fields: &[
        required("id", Kind::Integer).about("The account, from 10001."),
        required("email", Kind::AnyText),
        required("firstName", Kind::AnyText),
        required("lastName", Kind::AnyText),
        required("role", Kind::OneOf(&["viewer", "member", "manager"])),
        optional("isActive", Kind::Boolean).about("Whether the account can be used: for managers and super admins."),
    ],
};

/// A practitioner with an active account.
pub const PRACTITIONER: Shape = Shape {
    name: "Practitioner",
    fields: &[
        required("id", Kind::Integer).about("From 80001."),
        required("jheUserId", Kind::Integer).about("The account, from 10001."),
        required("nameFamily", Kind::OrNull(&Kind::AnyText)),
        required("nameGiven", Kind::OrNull(&Kind::AnyText)),
        required("telecomEmail", Kind::AnyText),
        required("organizations", Kind::List(&Kind::Object(&ORGANIZATION), 10_000)),
    ],
};
