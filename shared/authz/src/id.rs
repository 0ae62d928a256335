//! Identifiers. Integers on the wire; distinct types here, so that a study is never taken for a patient.

use serde::{Deserialize, Serialize};
use std::{fmt, num::ParseIntError, str::FromStr};

macro_rules! id {
    ($(#[$doc:meta])* $name:ident($int:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub $int);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = ParseIntError;

            fn from_str(text: &str) -> Result<Self, ParseIntError> {
                text.parse().map(Self)
            }
        }
    };
}

id!(/// A user's account (from 10001).
    UserId(i32));
id!(/// An organization (from 20001; 0 is the root).
    OrganizationId(i32));
id!(/// A study, a FHIR Group (from 30001).
    StudyId(i32));
id!(/// A patient (from 40001).
    PatientId(i32));
id!(/// A scope: a kind of health data by code system and code (from 50001).
    ScopeId(i32));
id!(/// An observation (from 60001).
    ObservationId(i64));
id!(/// A data source, a FHIR Device (from 70001).
    DataSourceId(i32));
id!(/// A practitioner (from 80001).
    PractitionerId(i32));
id!(/// An OAuth client's row (not its `client_id`, which is text).
    ClientId(i32));
id!(/// An invitation (from 101).
    InvitationId(i32));
id!(/// One authorization of one client by one user: a family of tokens.
    GrantId(i64));
