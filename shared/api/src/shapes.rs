//! The objects of `/api/v1` that more than one operation takes or answers.

mod account;
pub mod brand;
pub mod clients;
pub mod consent;
pub mod data_source;
mod organization;
pub mod study;

pub use account::{MEMBER, PRACTITIONER, SETTINGS, USER};
pub use organization::{NEW_ORGANIZATION, ORGANIZATION_CHANGE, ORGANIZATION_TYPES};

use crate::{Kind, Shape, optional, required};

/// A name of a person or a thing.
pub const NAME: Kind = Kind::Text(150);

/// A code in a code system: a kind of health data.
pub const SCOPE: Shape = Shape {
    name: "Scope",
    fields: &[
        required("id", Kind::Integer).about("From 50001."),
        required("codingSystem", Kind::AnyText).about("The code system's URI."),
        required("codingCode", Kind::AnyText),
        required("text", Kind::AnyText).about("The code in words."),
    ],
};

/// An organization as the caller sees it.
pub const ORGANIZATION: Shape = Shape {
    name: "Organization",
    fields: &[
        required("id", Kind::Integer).about("From 20001; 0 is the root."),
        required("name", Kind::AnyText),
        required("type", Kind::AnyText),
        required("partOf", Kind::OrNull(&Kind::Integer)),
        required("currentUserRole", Kind::OrNull(&Kind::OneOf(&["viewer", "member", "manager", "super_user"]))),
        optional("requiresSecondFactor", Kind::Boolean).about(
            "Whether its members need a second factor to sign in. For its managers and super admins; not in a tree.",
        ),
        required("children", Kind::List(&Kind::Named("Organization"), 10_000))
            .about("Filled where a tree is asked for."),
    ],
};

/// A business identifier of a patient.
pub const IDENTIFIER: Shape = Shape {
    name: "Identifier",
    fields: &[
        required("id", Kind::Integer),
        required("system", Kind::AnyText).about("The namespace."),
        required("value", Kind::AnyText),
    ],
};

/// A business identifier to be given.
pub const NEW_IDENTIFIER: Shape = Shape {
    name: "NewIdentifier",
    fields: &[required("system", Kind::Text(255)).about("The namespace."), required("value", Kind::Text(255))],
};

/// A patient as the caller sees it.
pub const PATIENT: Shape = Shape {
    name: "Patient",
    fields: &[
        required("id", Kind::Integer).about("From 40001."),
        required("jheUserId", Kind::Integer).about("The account, from 10001."),
        required("identifiers", Kind::List(&Kind::Object(&IDENTIFIER), 100)),
        required("nameFamily", Kind::AnyText),
        required("nameGiven", Kind::AnyText),
        required("birthDate", Kind::Date),
        required("telecomPhone", Kind::OrNull(&Kind::AnyText)),
        required("telecomEmail", Kind::AnyText),
        required("organizations", Kind::List(&Kind::Object(&ORGANIZATION), 10_000))
            .about("Those that the caller may know of."),
    ],
};

/// A patient to be created.
pub const NEW_PATIENT: Shape = Shape {
    name: "NewPatient",
    fields: &[
        required("organizationId", Kind::Integer).about("The organization that the patient is to belong to."),
        required("telecomEmail", Kind::Email).about("Also the name of the account."),
        required("nameFamily", NAME),
        required("nameGiven", NAME),
        required("birthDate", Kind::Date),
        optional("telecomPhone", Kind::OrNull(&Kind::Text(30))),
        optional("identifiers", Kind::List(&Kind::Object(&NEW_IDENTIFIER), 100)),
    ],
};
