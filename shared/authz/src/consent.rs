//! The access rule for observations, as a function of facts.
//!
//! The database decides with the view `practitioner_permit`. This is the same rule in words that a table
//! can exhaust; the property test of the store compares the two over random histories.

use crate::Layer;

/// What is asked of an observation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Read by id: the action `r`.
    Read,
    /// Find by search: the action `s`.
    Search,
}

/// What one study says about one practitioner, one patient and one scope.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools)] // six independent facts: the rule is their conjunction
pub struct StudyFacts {
    /// The practitioner is a member, in any role, of the study's organization.
    pub practitioner_is_member: bool,
    /// The patient is a patient of the study's organization.
    pub patient_of_organization: bool,
    /// The patient is enrolled in the study.
    pub enrolled: bool,
    /// The study asks for the scope.
    pub requested: bool,
    /// Researchers have access by the study: it is active, or its grace period lasts (`authz::study`).
    pub gives_access: bool,
    /// The patient's latest decision for (study, scope) since the study asks for the scope and since the patient is enrolled. A
    /// request that was taken back and made again asks anew, and so does an enrolment that ended and began again.
    pub decision: Decision,
}

/// The latest decision of a patient about one scope of one study.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Nothing was decided, or the decision was withdrawn.
    Pending,
    /// Refused.
    Refused,
    /// Granted, for these actions.
    Granted {
        /// Read by id.
        read: bool,
        /// Search.
        search: bool,
    },
}

impl Decision {
    /// True when the decision allows the access.
    #[must_use]
    pub const fn allows(self, access: Access) -> bool {
        match (self, access) {
            (Self::Granted { read, .. }, Access::Read) => read,
            (Self::Granted { search, .. }, Access::Search) => search,
            (Self::Pending | Self::Refused, _) => false,
        }
    }
}

/// Decides whether a practitioner may access an observation, given the facts of every study that could
/// allow it. One study that allows is enough; without one, the refusal names the furthest layer that any
/// study reached.
pub fn access(access: Access, studies: &[StudyFacts]) -> Result<(), Layer> {
    studies
        .iter()
        .map(|facts| judge(access, *facts))
        .max_by_key(|verdict| verdict.err().map_or(usize::MAX, |layer| layer as usize))
        .unwrap_or(Err(Layer::Organization))
}

/// One study's verdict.
const fn judge(access: Access, facts: StudyFacts) -> Result<(), Layer> {
    if !facts.practitioner_is_member || !facts.patient_of_organization {
        Err(Layer::Organization)
    } else if !facts.enrolled || !facts.requested || !facts.gives_access {
        Err(Layer::Enrolment)
    } else if !facts.decision.allows(access) {
        Err(Layer::Consent)
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DECISIONS: [Decision; 6] = [
        Decision::Pending,
        Decision::Refused,
        Decision::Granted { read: false, search: false },
        Decision::Granted { read: true, search: false },
        Decision::Granted { read: false, search: true },
        Decision::Granted { read: true, search: true },
    ];

    fn every_fact() -> impl Iterator<Item = StudyFacts> {
        (0..32_u8).flat_map(|bits| {
            DECISIONS.into_iter().map(move |decision| StudyFacts {
                practitioner_is_member: bits & 1 != 0,
                patient_of_organization: bits & 2 != 0,
                enrolled: bits & 4 != 0,
                requested: bits & 8 != 0,
                gives_access: bits & 16 != 0,
                decision,
            })
        })
    }

    #[test]
    fn every_fact_is_necessary_and_all_together_suffice() {
        for (act, index) in [(Access::Read, 0), (Access::Search, 1)] {
            for facts in every_fact() {
                let consented = match facts.decision {
                    Decision::Granted { read, search } => [read, search][index],
                    _ => false,
                };
                let expected = facts.practitioner_is_member
                    && facts.patient_of_organization
                    && facts.enrolled
                    && facts.requested
                    && facts.gives_access
                    && consented;
                assert_eq!(access(act, &[facts]).is_ok(), expected, "{act:?} {facts:?}");
            }
        }
    }

    #[test]
    fn layers_refuse_in_order() {
        for facts in every_fact() {
            let refused = access(Access::Search, &[facts]).err();
            if !facts.practitioner_is_member || !facts.patient_of_organization {
                assert_eq!(refused, Some(Layer::Organization));
            } else if !facts.enrolled || !facts.requested || !facts.gives_access {
                assert_eq!(refused, Some(Layer::Enrolment));
            } else if !facts.decision.allows(Access::Search) {
                assert_eq!(refused, Some(Layer::Consent));
            }
        }
    }

    #[test]
    fn one_study_is_never_judged_by_the_facts_of_another() {
        // Two studies that each lack one thing do not make one that allows.
        for one in every_fact() {
            for other in every_fact().step_by(7) {
                let both = access(Access::Search, &[one, other]).is_ok();
                let either = access(Access::Search, &[one]).is_ok() || access(Access::Search, &[other]).is_ok();
                assert_eq!(both, either);
            }
        }
    }

    #[test]
    fn without_a_study_nothing_is_seen() {
        assert_eq!(access(Access::Read, &[]), Err(Layer::Organization));
    }
}
