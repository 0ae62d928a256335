//! What a request asks for, by what it names.

use authz::{OrganizationId, PatientId, StudyId, UserId};

/// What a request names, as it was sent. Whoever records a refusal says it, so that a patient can read who tried what. The
/// database keeps only what exists: an id that nobody has yet must not be in the log of who gets it later.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct Target {
    patients: Vec<i32>,
    studies: Vec<i32>,
    organizations: Vec<i32>,
    user: Option<i32>,
    email: Option<String>,
}

impl Target {
    /// The request names nobody and nothing: a sign-in, a token, the caller's own record.
    pub const fn nothing() -> Self {
        Self { patients: Vec::new(), studies: Vec::new(), organizations: Vec::new(), user: None, email: None }
    }

    /// A patient.
    pub fn patient(id: PatientId) -> Self {
        Self { patients: vec![id.0], ..Self::nothing() }
    }

    /// The patient whose account has this e-mail.
    pub fn email(email: &str) -> Self {
        Self { email: Some(email.to_owned()), ..Self::nothing() }
    }

    /// The patient who has this account, if a patient has it.
    pub fn user(id: UserId) -> Self {
        Self { user: Some(id.0), ..Self::nothing() }
    }

    /// A study, and so its organization.
    pub fn study(id: StudyId) -> Self {
        Self::nothing().and_studies([id.0])
    }

    /// An organization.
    pub fn organization(id: OrganizationId) -> Self {
        Self::nothing().and_organizations([id.0])
    }

    /// Also these patients.
    pub fn and_patients(mut self, ids: impl IntoIterator<Item = i32>) -> Self {
        self.patients.extend(ids);
        self
    }

    /// Also these studies, and so their organizations.
    pub fn and_studies(mut self, ids: impl IntoIterator<Item = i32>) -> Self {
        self.studies.extend(ids);
        self
    }

    /// Also these organizations.
    pub fn and_organizations(mut self, ids: impl IntoIterator<Item = i32>) -> Self {
        self.organizations.extend(ids);
        self
    }

    /// The ids of the patients.
    #[must_use]
    pub fn patient_ids(&self) -> &[i32] {
        &self.patients
    }

    /// The ids of the studies.
    #[must_use]
    pub fn study_ids(&self) -> &[i32] {
        &self.studies
    }

    /// The ids of the organizations.
    #[must_use]
    pub fn organization_ids(&self) -> &[i32] {
        &self.organizations
    }

    /// The account.
    #[must_use]
    pub const fn user_id(&self) -> Option<i32> {
        self.user
    }

    /// The e-mail of a patient's account.
    #[must_use]
    pub fn account_email(&self) -> Option<&str> {
        self.email.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_has_all_that_was_named() {
        let target = Target::study(StudyId(30001)).and_patients([40001, 40002]).and_organizations([20003]);
        assert_eq!(target.study_ids(), [30001]);
        assert_eq!(target.patient_ids(), [40001, 40002]);
        assert_eq!(target.organization_ids(), [20003]);
        assert_eq!(target.account_email(), None);
        assert_eq!(Target::email("a@example.com").account_email(), Some("a@example.com"));
        assert_eq!((Target::user(UserId(10006)).user_id(), Target::nothing().user_id()), (Some(10006), None));
        assert_eq!(Target::nothing().and_patients([40001]), Target::patient(PatientId(40001)));
    }
}
