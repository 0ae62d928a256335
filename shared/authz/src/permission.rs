//! Roles, permissions and the decision on actions.

use crate::{Actor, Principal};
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// A practitioner's role in one organization. Ordered: each includes what the one before may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Reads.
    Viewer,
    /// Viewer, and works with patients, enrolment and consent on behalf.
    Member,
    /// Member, and works with studies, practitioners, roles, the organization and its audit log.
    Manager,
}

impl Role {
    /// Every role, lowest first.
    pub const ALL: [Self; 3] = [Self::Viewer, Self::Member, Self::Manager];

    /// The role's name in the database and on the wire.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Member => "member",
            Self::Manager => "manager",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The text is not the name of a role.
#[derive(Debug, thiserror::Error)]
#[error("not a role")]
pub struct NotARole;

impl FromStr for Role {
    type Err = NotARole;

    fn from_str(text: &str) -> Result<Self, NotARole> {
        Self::ALL.into_iter().find(|role| role.name() == text).ok_or(NotARole)
    }
}

/// The six layers that a request passes, in this order. A refusal names the first that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Layer {
    /// No valid access token.
    Token,
    /// The wrong kind of user.
    UserType,
    /// The practitioner or the patient is not of the organization.
    Organization,
    /// The patient is not enrolled in a study that asks for the data.
    Enrolment,
    /// The patient has not consented.
    Consent,
    /// The role does not allow the action.
    Role,
}

impl Layer {
    /// Every layer, in the order in which they are passed.
    pub const ALL: [Self; 6] =
        [Self::Token, Self::UserType, Self::Organization, Self::Enrolment, Self::Consent, Self::Role];

    /// The layer's name in the audit.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::UserType => "user_type",
            Self::Organization => "organization",
            Self::Enrolment => "enrolment",
            Self::Consent => "consent",
            Self::Role => "role",
        }
    }

    /// The layer with this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|layer| layer.name() == name)
    }
}

/// Whether the caller may know that what was asked for exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Visibility {
    /// The caller may know: answered 403.
    Known,
    /// The caller may not know: answered as if it did not exist, 404.
    Concealed,
}

/// A refusal: the layer that refused, and whether existence may show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The first layer that did not let the request pass.
    pub layer: Layer,
    /// 403 or 404.
    pub visibility: Visibility,
}

impl Refusal {
    /// A refusal of something that the caller may know to exist (403).
    #[must_use]
    pub const fn known(layer: Layer) -> Self {
        Self { layer, visibility: Visibility::Known }
    }

    /// A refusal that does not tell whether the thing exists (404).
    #[must_use]
    pub const fn concealed(layer: Layer) -> Self {
        Self { layer, visibility: Visibility::Concealed }
    }
}

/// What a practitioner can be allowed to do in an organization. Reading is not among them: who may read which rows is
/// decided where the rows are, in the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Permission {
    /// Create patients of the organization, and find them by e-mail.
    ManagePatients,
    /// Enrol patients in the organization's studies and end enrolments.
    Enrol,
    /// Record a consent decision on behalf of a patient, with a reference to the authorization.
    DecideOnBehalf,
    /// Invite a patient's app.
    Invite,
    /// Upload observations for a patient of the organization.
    UploadOnBehalf,
    /// Create, change and delete studies, and what they ask for.
    ManageStudies,
    /// Change the organization and what is part of it, and who has which role in it.
    ManageOrganization,
    /// Read what was done in the organization: its part of the audit.
    ReadAudit,
    /// Erase a patient who asked for it.
    Erase,
}

impl Permission {
    /// Every permission.
    pub const ALL: [Self; 9] = [
        Self::ManagePatients,
        Self::Enrol,
        Self::DecideOnBehalf,
        Self::Invite,
        Self::UploadOnBehalf,
        Self::ManageStudies,
        Self::ManageOrganization,
        Self::ReadAudit,
        Self::Erase,
    ];

    /// The lowest role that has this permission.
    #[must_use]
    pub const fn minimum_role(self) -> Role {
        match self {
            Self::ManagePatients | Self::Enrol | Self::DecideOnBehalf | Self::Invite | Self::UploadOnBehalf => {
                Role::Member
            }
            Self::ManageStudies | Self::ManageOrganization | Self::ReadAudit | Self::Erase => Role::Manager,
        }
    }
}

/// Why an action was allowed. The audit keeps it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Basis {
    /// Through this role in the organization.
    Role(Role),
    /// As a super admin.
    Privileged,
}

/// Decides an action in an organization, given the caller's role there (`None`: not a member).
///
/// A super admin may do everything but decide a consent and upload data: nobody speaks for a patient without being
/// accountable to an organization of the patient's. Who is not a member may not know the object exists (404); a
/// member whose role is too low is told so (403).
pub fn permit(actor: &Actor, permission: Permission, role: Option<Role>) -> Result<Basis, Refusal> {
    match actor.principal {
        Principal::SuperAdmin if matches!(permission, Permission::DecideOnBehalf | Permission::UploadOnBehalf) => {
            Err(Refusal::known(Layer::UserType))
        }
        Principal::SuperAdmin => Ok(Basis::Privileged),
        Principal::Patient(_) => Err(Refusal::known(Layer::UserType)),
        Principal::Practitioner(_) => match role {
            None => Err(Refusal::concealed(Layer::Organization)),
            Some(role) if role < permission.minimum_role() => Err(Refusal::known(Layer::Role)),
            Some(role) => Ok(Basis::Role(role)),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ClientId, PatientId, PractitionerId, UserId};

    fn actor(principal: Principal) -> Actor {
        Actor { user: UserId(1), client: ClientId(1), principal }
    }

    #[test]
    fn a_higher_role_never_loses_what_a_lower_one_has() {
        let practitioner = actor(Principal::Practitioner(PractitionerId(1)));
        for permission in Permission::ALL {
            let allowed = Role::ALL.map(|role| permit(&practitioner, permission, Some(role)).is_ok());
            assert!(allowed.is_sorted(), "{permission:?}: {allowed:?}");
            assert!(allowed[2], "a manager may {permission:?}");
        }
    }

    #[test]
    fn a_viewer_may_do_nothing_but_read() {
        let practitioner = actor(Principal::Practitioner(PractitionerId(1)));
        for permission in Permission::ALL {
            let decision = permit(&practitioner, permission, Some(Role::Viewer));
            assert_eq!(decision, Err(Refusal::known(Layer::Role)), "{permission:?}");
        }
    }

    #[test]
    fn who_is_not_a_member_is_not_told_that_it_exists() {
        let practitioner = actor(Principal::Practitioner(PractitionerId(1)));
        for permission in Permission::ALL {
            assert_eq!(permit(&practitioner, permission, None), Err(Refusal::concealed(Layer::Organization)));
        }
    }

    #[test]
    fn a_patient_has_no_permission_in_an_organization_whatever_role_is_claimed() {
        let patient = actor(Principal::Patient(PatientId(1)));
        for permission in Permission::ALL {
            for role in [None, Some(Role::Viewer), Some(Role::Member), Some(Role::Manager)] {
                assert_eq!(permit(&patient, permission, role), Err(Refusal::known(Layer::UserType)));
            }
        }
    }

    #[test]
    fn a_super_admin_may_do_all_but_speak_for_a_patient() {
        let admin = actor(Principal::SuperAdmin);
        for permission in Permission::ALL {
            let decision = permit(&admin, permission, None);
            match permission {
                Permission::DecideOnBehalf | Permission::UploadOnBehalf => {
                    assert_eq!(decision, Err(Refusal::known(Layer::UserType)));
                }
                _ => assert_eq!(decision, Ok(Basis::Privileged), "{permission:?}"),
            }
        }
    }

    #[test]
    fn only_a_patient_is_a_patient() {
        let patient = actor(Principal::Patient(PatientId(7)));
        assert_eq!(patient.patient(), Ok(PatientId(7)));
        for other in [Principal::SuperAdmin, Principal::Practitioner(PractitionerId(7))] {
            assert_eq!(actor(other).patient(), Err(Refusal::known(Layer::UserType)));
        }
    }

    #[test]
    fn names_round_trip() {
        for layer in Layer::ALL {
            assert_eq!(Layer::from_name(layer.name()), Some(layer));
        }
        for role in Role::ALL {
            assert_eq!(role.name().parse::<Role>().ok(), Some(role));
            assert_eq!(serde_json::to_value(role).unwrap(), role.name());
        }
        assert!("owner".parse::<Role>().is_err());
        assert_eq!(Layer::from_name("not_found"), None);
    }
}
