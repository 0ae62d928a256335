//! Who is asking.

use crate::{ClientId, Layer, PatientId, PractitionerId, Refusal, UserId};

/// What kind of user a token belongs to: the second layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Principal {
    /// A patient: sees and decides about their own data, without any role.
    Patient(PatientId),
    /// A practitioner: acts through roles in organizations.
    Practitioner(PractitionerId),
    /// A super admin: sees everything; every access to health data is audited as privileged.
    SuperAdmin,
}

/// An authenticated caller: the user behind a valid access token, and the client it was issued to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Actor {
    /// The user.
    pub user: UserId,
    /// The OAuth client that holds the token.
    pub client: ClientId,
    /// What kind of user.
    pub principal: Principal,
}

impl Actor {
    /// The patient who is asking, or a refusal by the user type layer.
    pub const fn patient(&self) -> Result<PatientId, Refusal> {
        match self.principal {
            Principal::Patient(patient) => Ok(patient),
            Principal::Practitioner(_) | Principal::SuperAdmin => Err(Refusal::known(Layer::UserType)),
        }
    }

    /// The practitioner who is asking, if it is one.
    #[must_use]
    pub const fn practitioner(&self) -> Option<PractitionerId> {
        match self.principal {
            Principal::Practitioner(practitioner) => Some(practitioner),
            Principal::Patient(_) | Principal::SuperAdmin => None,
        }
    }

    /// True for a super admin, whose access is audited as privileged.
    #[must_use]
    pub const fn is_privileged(&self) -> bool {
        matches!(self.principal, Principal::SuperAdmin)
    }

    /// The user type as the audit names it.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self.principal {
            Principal::Patient(_) => "patient",
            Principal::Practitioner(_) => "practitioner",
            Principal::SuperAdmin => "super_admin",
        }
    }
}
