//! What is sent and answered when a role is given or taken.

use api::{Kind, Shape, required, shapes};
use authz::{OrganizationId, Role, UserId};
use jiff::Timestamp;
use serde::Serialize;
use store::Membership;

const ROLE: Kind = Kind::OneOf(&["viewer", "member", "manager"]);

/// Who gets which role. The name of the role's member is the one that apps send.
pub const GIVEN: Shape = Shape {
    name: "NewMember",
    fields: &[
        required("jheUserId", Kind::Integer).about("A practitioner's account, from 10001."),
        required("organizationPartitionerRole", ROLE),
    ],
};

/// Whose role is taken.
pub const TAKEN: Shape =
    Shape { name: "FormerMember", fields: &[required("jheUserId", Kind::Integer).about("The account, from 10001.")] };

const ORGANIZATION: Shape = Shape {
    name: "MembershipOrganization",
    fields: &[
        required("id", Kind::Integer),
        required("name", Kind::AnyText),
        required("type", Kind::AnyText),
        required("lastUpdated", Kind::Instant),
        required("partOf", Kind::OrNull(&Kind::Integer)),
    ],
};

const PRACTITIONER: Shape = Shape {
    name: "MembershipPractitioner",
    fields: &[
        required("id", Kind::Integer).about("From 80001."),
        required("identifier", Kind::AnyText).about("Always empty."),
        required("nameFamily", Kind::AnyText),
        required("nameGiven", Kind::AnyText),
        required("lastUpdated", Kind::Instant),
        required("settings", Kind::Object(&shapes::SETTINGS)).about("Always empty: they are the practitioner's own."),
        required("jheUser", Kind::Integer).about("The account, from 10001."),
        required("organizations", Kind::List(&Kind::Integer, 10_000)).about("Those that the caller may know of."),
    ],
};

/// A role that was given.
pub const MEMBERSHIP: Shape = Shape {
    name: "Membership",
    fields: &[
        required("id", Kind::Integer),
        required("organization", Kind::Object(&ORGANIZATION)),
        required("practitioner", Kind::Object(&PRACTITIONER)),
        required("role", ROLE),
    ],
};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Organization<'a> {
    id: i32,
    name: &'a str,
    #[serde(rename = "type")]
    kind: &'a str,
    last_updated: Timestamp,
    part_of: Option<i32>,
}

#[derive(Serialize)]
struct NoSettings {}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Practitioner<'a> {
    id: i32,
    identifier: &'static str,
    name_family: &'a str,
    name_given: &'a str,
    last_updated: Timestamp,
    settings: NoSettings,
    jhe_user: i32,
    organizations: &'a [i32],
}

/// A role that was given, as the answer.
#[derive(Serialize)]
pub struct Given<'a> {
    id: i32,
    organization: Organization<'a>,
    practitioner: Practitioner<'a>,
    role: Role,
}

impl<'a> Given<'a> {
    /// The answer.
    pub fn new(organization: OrganizationId, user: UserId, role: Role, given: &'a Membership) -> Self {
        Self {
            id: given.id,
            organization: Organization {
                id: organization.0,
                name: &given.name,
                kind: &given.kind,
                last_updated: given.last_updated,
                part_of: given.part_of,
            },
            practitioner: Practitioner {
                id: given.practitioner,
                identifier: "",
                name_family: &given.last_name,
                name_given: &given.first_name,
                last_updated: given.practitioner_updated,
                settings: NoSettings {},
                jhe_user: user.0,
                organizations: &given.organizations,
            },
            role,
        }
    }
}
