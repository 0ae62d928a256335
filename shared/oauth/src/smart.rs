//! SMART scopes: what a token lets its client do with which FHIR resources (SMART App Launch 2.2, "SMART's scopes are
//! used to delegate access", <https://hl7.org/fhir/smart-app-launch/STU2.2/scopes-and-launch-context.html>).
//!
//! A scope narrows what the user may do. It never gives the user, or the client, more.

use crate::Scope;

/// What a client does with a resource type, in the order of the letters `cruds`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interaction {
    /// `c`: create, by itself or in a Bundle.
    Create,
    /// `r`: read by id.
    Read,
    /// `u`: update.
    Update,
    /// `d`: delete.
    Delete,
    /// `s`: search.
    Search,
}

impl Interaction {
    /// Every interaction, in the order of the letters.
    pub const ALL: [Self; 5] = [Self::Create, Self::Read, Self::Update, Self::Delete, Self::Search];

    const fn letter(self) -> char {
        match self {
            Self::Create => 'c',
            Self::Read => 'r',
            Self::Update => 'u',
            Self::Delete => 'd',
            Self::Search => 's',
        }
    }

    const fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// Whose data a scope is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// `patient/`: the data of the patient in context.
    Patient,
    /// `user/`: what the user may reach.
    User,
    /// `system/`: what a client reaches that acts without a user.
    System,
}

/// Who stands behind a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holder {
    /// A patient, who is the patient in context.
    Patient,
    /// Another user. There is no patient in context.
    User,
    /// A client that acts by itself (RFC 6749 4.4), within what the account may reach that it acts as.
    Client,
}

impl Holder {
    /// Whether scopes of this level say anything for the holder. `patient/` without a patient in context opens nothing.
    const fn uses(self, level: Level) -> bool {
        matches!(
            (self, level),
            (Self::Patient, Level::Patient | Level::User)
                | (Self::User, Level::User)
                | (Self::Client, Level::System | Level::User)
        )
    }
}

/// One scope: a level, a resource type or all of them, and the interactions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SmartScope<'a> {
    level: Level,
    resource: &'a str,
    interactions: u8,
}

impl<'a> SmartScope<'a> {
    /// Reads a scope of version 2, or of version 1 as what it means in version 2. None for anything else, also for a
    /// scope with search parameters (`?category=...`): what cannot be enforced opens nothing.
    #[must_use]
    pub fn parse(token: &'a str) -> Option<Self> {
        let (level, rest) = token.split_once('/')?;
        let (resource, interactions) = rest.split_once('.')?;
        Some(Self {
            level: match level {
                "patient" => Level::Patient,
                "user" => Level::User,
                "system" => Level::System,
                _ => return None,
            },
            resource: Some(resource).filter(|name| *name == "*" || is_type(name))?,
            interactions: interactions_of(interactions)?,
        })
    }

    /// Whose data the scope is about.
    #[must_use]
    pub const fn level(&self) -> Level {
        self.level
    }

    /// The resource type; none for all of them.
    #[must_use]
    pub fn resource(&self) -> Option<&'a str> {
        (self.resource != "*").then_some(self.resource)
    }

    /// What may be done.
    pub fn interactions(&self) -> impl Iterator<Item = Interaction> {
        let bits = self.interactions;
        Interaction::ALL.into_iter().filter(move |one| bits & one.bit() != 0)
    }

    fn allows(&self, resource: &str, interaction: Interaction) -> bool {
        (self.resource == "*" || self.resource == resource) && self.interactions & interaction.bit() != 0
    }

    /// Whether all that this scope opens is opened by the others, of the same level, together.
    #[must_use]
    pub fn is_covered_by(&self, others: &Scope) -> bool {
        let opened = others
            .iter()
            .filter_map(SmartScope::parse)
            .filter(|other| other.level == self.level && (other.resource == "*" || other.resource == self.resource))
            .fold(0, |bits, other| bits | other.interactions);
        self.interactions & !opened == 0
    }
}

/// Whether a scope speaks of FHIR resources or launch context at all, in whatever way: its client knows SMART and means to
/// have no more than it names. Every such scope has a slash, and no other scope of ours does.
#[must_use]
pub fn is_named(scope: &Scope) -> bool {
    scope.iter().any(|token| token.contains('/'))
}

/// Whether a scope lets its holder do this with resources of this type.
#[must_use]
pub fn permits(scope: &Scope, holder: Holder, resource: &str, interaction: Interaction) -> bool {
    scope.iter().filter_map(SmartScope::parse).any(|one| holder.uses(one.level) && one.allows(resource, interaction))
}

/// The letters of version 2, each at most once and in order; or a word of version 1.
fn interactions_of(text: &str) -> Option<u8> {
    let named = match text {
        "read" => "rs",
        "write" => "cud",
        "*" => "cruds",
        letters => letters,
    };
    let mut letters = named.chars().peekable();
    let mut bits = 0;
    for interaction in Interaction::ALL {
        if letters.next_if_eq(&interaction.letter()).is_some() {
            bits |= interaction.bit();
        }
    }
    // What is left over is unknown, repeated or out of order.
    (bits != 0 && letters.next().is_none()).then_some(bits)
}

/// The name of a resource type: a capital and letters.
fn is_type(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_uppercase()) && name.bytes().all(|byte| byte.is_ascii_alphabetic())
}

#[cfg(test)]
mod tests;
