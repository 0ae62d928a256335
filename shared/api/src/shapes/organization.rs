//! Organizations as they are made and changed.

use super::NAME;
use crate::{Kind, Shape, optional, required};

/// The types of organizations, each with its name in words. `root` is the type of the one above all.
pub const ORGANIZATION_TYPES: [(&str, &str); 18] = [
    ("root", "ROOT"),
    ("prov", "Healthcare Provider"),
    ("dept", "Hospital Department"),
    ("team", "Organizational team"),
    ("govt", "Government"),
    ("ins", "Insurance Company"),
    ("pay", "Payer"),
    ("edu", "Educational Institute"),
    ("reli", "Religious Institution"),
    ("crs", "Clinical Research Sponsor"),
    ("cg", "Community Group"),
    ("bus", "Non-Healthcare Business or Corporation"),
    ("other", "Other"),
    ("laboratory", "Laboratory"),
    ("imaging", "Imaging Center"),
    ("pharmacy", "Pharmacy"),
    ("health-information-network", "Health Information Network"),
    ("health-data-aggregator", "Health Data Aggregator"),
];

/// The types that an organization can be given.
const TYPE: Kind = Kind::OneOf(&[
    "prov",
    "dept",
    "team",
    "govt",
    "ins",
    "pay",
    "edu",
    "reli",
    "crs",
    "cg",
    "bus",
    "other",
    "laboratory",
    "imaging",
    "pharmacy",
    "health-information-network",
    "health-data-aggregator",
]);

/// What `requiresSecondFactor` says.
pub(super) const REQUIRES_SECOND_FACTOR: &str =
    "Whether its members need a second factor to sign in; of the root, whether everybody does.";

const PART_OF: Kind = Kind::OrNull(&Kind::Integer);

/// An organization to be made.
pub const NEW_ORGANIZATION: Shape = Shape {
    name: "NewOrganization",
    fields: &[
        required("name", NAME),
        required("type", TYPE),
        optional("partOf", PART_OF)
            .about("The organization that it is to be part of. Absent, null or 0: none but the root."),
    ],
};

/// What can change of an organization.
pub const ORGANIZATION_CHANGE: Shape = Shape {
    name: "OrganizationChange",
    fields: &[
        required("name", NAME),
        required("type", TYPE),
        required("partOf", PART_OF)
            .about("Another organization that it is to be part of; 0 is the root. Null: as it is."),
        optional("requiresSecondFactor", Kind::OrNull(&Kind::Boolean)).about(REQUIRES_SECOND_FACTOR),
    ],
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_but_the_roots_can_be_given() {
        let Kind::OneOf(given) = TYPE else { panic!("{TYPE:?}") };
        let known: Vec<&str> =
            ORGANIZATION_TYPES.iter().map(|(code, _)| *code).filter(|code| *code != "root").collect();
        assert_eq!(given, known);
    }
}
