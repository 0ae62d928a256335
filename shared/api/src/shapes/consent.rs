//! Consents: their state, decisions, and the ledger.

use super::{
    PATIENT, SCOPE,
    data_source::DATA_SOURCE,
    study::{STATUS, STUDY_ORGANIZATION},
};
use crate::{Field, Kind, Shape, optional, required};

/// What is granted: `r` read by id, `s` search.
const ACTIONS: Kind = Kind::OneOf(&["r", "s", "rs"]);

/// What is decided about one scope.
const SCOPE_CONSENT: Shape = Shape {
    name: "ScopeConsent",
    fields: &[
        required("code", Kind::Object(&SCOPE)),
        required("consented", Kind::OrNull(&Kind::Boolean)),
        required("consentedTime", Kind::OrNull(&Kind::Instant)),
        optional("actions", ACTIONS).about("What is granted: `r` read by id, `s` search."),
    ],
};

/// The members of a study with consents, before its consents.
const fn of_study(consents: Field) -> [Field; 11] {
    [
        required("id", Kind::Integer),
        required("name", Kind::AnyText),
        required("description", Kind::AnyText),
        required("organization", Kind::Object(&STUDY_ORGANIZATION)),
        required("dataSources", Kind::List(&Kind::Object(&DATA_SOURCE), 1_000)),
        required("status", STATUS),
        required("startsOn", Kind::OrNull(&Kind::Date)),
        required("endsOn", Kind::OrNull(&Kind::Date)).about("The last day on which it runs."),
        required("accessUntil", Kind::OrNull(&Kind::Instant))
            .about("Until when its researchers have access, if that is set."),
        required("researchersHaveAccess", Kind::Boolean)
            .about("Whether the study still gives its researchers access to what is granted."),
        consents,
    ]
}

const PENDING: [Field; 11] =
    of_study(required("pendingScopeConsents", Kind::List(&Kind::Object(&SCOPE_CONSENT), 1_000)));

const DECIDED: [Field; 11] = of_study(required("scopeConsents", Kind::List(&Kind::Object(&SCOPE_CONSENT), 1_000)));

/// The state of a patient's consents.
pub const CONSENTS: Shape = Shape {
    name: "Consents",
    fields: &[
        required("patient", Kind::Object(&PATIENT)),
        required("consolidatedConsentedScopes", Kind::List(&Kind::Object(&SCOPE), 10_000))
            .about("Every scope that the researchers of at least one study may have."),
        required(
            "studiesPendingConsent",
            Kind::List(&Kind::Object(&Shape { name: "StudyPendingConsent", fields: &PENDING }), 10_000),
        )
        .about("Studies that wait for a decision."),
        required("studies", Kind::List(&Kind::Object(&Shape { name: "StudyWithConsents", fields: &DECIDED }), 10_000))
            .about("Studies about which something is decided, and those that have ended."),
    ],
};

const REFERENCE: Field = optional("authorizationReference", Kind::OrNull(&Kind::Text(200)))
    .about("Where the patient's authorization is: of whoever decides on behalf of the patient, and of nobody else.");

const fn decision(consented: Field) -> [Field; 4] {
    [
        required("codingSystem", Kind::Text(255)),
        required("codingCode", Kind::Text(255)),
        consented,
        optional("actions", Kind::OrNull(&ACTIONS)).about("What is granted; `rs` if absent."),
    ]
}

const DECISION: [Field; 4] = decision(required("consented", Kind::Boolean));

const WITHDRAWAL: [Field; 4] = decision(
    optional("consented", Kind::OrNull(&Kind::Boolean)).about("Whatever it says, the decision is taken back."),
);

const STUDY_DECISIONS: [Field; 2] = [
    required("studyId", Kind::Integer),
    required("scopeConsents", Kind::List(&Kind::Object(&Shape { name: "NewDecision", fields: &DECISION }), 1_000)),
];

const STUDY_WITHDRAWALS: [Field; 2] = [
    required("studyId", Kind::Integer),
    required("scopeConsents", Kind::List(&Kind::Object(&Shape { name: "Withdrawal", fields: &WITHDRAWAL }), 1_000)),
];

/// Decisions to be made.
pub const NEW_DECISIONS: Shape = Shape {
    name: "NewDecisions",
    fields: &[
        required(
            "studyScopeConsents",
            Kind::List(&Kind::Object(&Shape { name: "NewStudyDecisions", fields: &STUDY_DECISIONS }), 1_000),
        ),
        REFERENCE,
    ],
};

/// Decisions to be taken back.
pub const WITHDRAWALS: Shape = Shape {
    name: "Withdrawals",
    fields: &[
        required(
            "studyScopeConsents",
            Kind::List(&Kind::Object(&Shape { name: "StudyWithdrawals", fields: &STUDY_WITHDRAWALS }), 1_000),
        ),
        REFERENCE,
    ],
};

const STUDY_PATIENT: Shape = Shape {
    name: "DecidedEnrolment",
    fields: &[
        required("id", Kind::OrNull(&Kind::Integer)).about("The enrolment; null when it has ended."),
        required("study", Kind::Integer),
        required("patient", Kind::Integer),
    ],
};

const DECISION_NAME: Kind = Kind::OneOf(&["granted", "refused", "withdrawn"]);

const DECIDED_SCOPE: Shape = Shape {
    name: "Decision",
    fields: &[
        required("id", Kind::Long).about("The event's number in the ledger."),
        required("studyPatient", Kind::Object(&STUDY_PATIENT)),
        required("scopeCode", Kind::Object(&SCOPE)),
        required("decision", DECISION_NAME),
        required("consented", Kind::OrNull(&Kind::Boolean)),
        required("consentedTime", Kind::Instant),
        required("actions", ACTIONS),
        optional("authorizationReference", Kind::AnyText),
    ],
};

/// The decisions as they are in the ledger.
pub const DECISIONS: Shape = Shape {
    name: "Decisions",
    fields: &[required("studyScopeConsents", Kind::List(&Kind::Object(&DECIDED_SCOPE), 1_000))],
};

const NAMED: Shape = Shape { name: "Named", fields: &[required("id", Kind::Integer), required("name", Kind::AnyText)] };

/// An event of the ledger.
pub const CONSENT_EVENT: Shape = Shape {
    name: "ConsentEvent",
    fields: &[
        required("id", Kind::Long),
        required("decidedAt", Kind::Instant),
        required("study", Kind::Object(&NAMED)),
        required("scopeCode", Kind::Object(&SCOPE)),
        required("decision", DECISION_NAME),
        required("consented", Kind::OrNull(&Kind::Boolean)),
        required("actions", ACTIONS),
        required("decidedBy", Kind::Object(&NAMED)).about("The account."),
        required("authorizationReference", Kind::OrNull(&Kind::AnyText)),
    ],
};
