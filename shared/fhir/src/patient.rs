//! `Patient` (<https://hl7.org/fhir/R5/patient.html>).

use jiff::Timestamp;
use jiff::civil::Date;

pub use crate::resource::{BusinessIdentifier, PersonName};
use crate::resource::{contact, head, identifiers, names};

/// A patient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Patient {
    /// The id.
    pub id: i32,
    /// When it last changed.
    pub last_updated: Timestamp,
    /// Identifiers elsewhere.
    pub identifiers: Vec<BusinessIdentifier>,
    /// The name.
    pub name: PersonName,
    /// The day of birth.
    pub birth_date: Option<Date>,
    /// A mobile phone number.
    pub phone: Option<String>,
    /// An e-mail address.
    pub email: Option<String>,
}

impl Patient {
    /// The resource as R5 JSON.
    #[must_use]
    pub fn to_json(&self) -> String {
        let birth_date = self.birth_date.filter(|date| date.year() >= 1).map(|date| date.to_string());
        let telecom: Vec<String> =
            [contact("phone", self.phone.as_deref(), "mobile"), contact("email", self.email.as_deref(), "home")]
                .into_iter()
                .flatten()
                .collect();
        head("Patient", self.id, self.last_updated)
            .list("identifier", &identifiers(&self.identifiers))
            .list("name", &names(&self.name))
            .list("telecom", &telecom)
            .optional("birthDate", birth_date.as_deref())
            .finish()
    }
}
