//! Studies, what they ask for, and who is enrolled.

use super::SCOPE;
use crate::{Kind, Shape, optional, required};

/// The organization of a study.
pub const STUDY_ORGANIZATION: Shape = Shape {
    name: "StudyOrganization",
    fields: &[required("id", Kind::Integer), required("name", Kind::AnyText), required("type", Kind::AnyText)],
};

/// How long the data of a study are kept.
pub const RETENTION_POLICY: Shape = Shape {
    name: "RetentionPolicy",
    fields: &[
        optional("reference", Kind::OrNull(&Kind::Text(500))).about("The name or the address of the policy."),
        optional("days", Kind::OrNull(&Kind::Integer)).about("For how many days after the end of the study."),
    ],
};

/// Where a study is in its life.
pub const STATUS: Kind = Kind::OneOf(&["draft", "active", "completed", "archived"]);

const ICON_URL: &str = "A picture for patients' apps, by http or https.";
const STARTS_ON: &str = "The day on which it starts, as planned.";
const ENDS_ON: &str = "The last day on which it runs, by UTC. After it nobody is enrolled and nothing consented to.";
const ACCESS_UNTIL: &str = "Until when researchers have access. Null where no end is set, and of drafts and archived studies, which give none.";

/// A study, a FHIR Group.
pub const STUDY: Shape = Shape {
    name: "Study",
    fields: &[
        required("id", Kind::Integer).about("From 30001."),
        required("name", Kind::AnyText),
        required("description", Kind::AnyText),
        required("organization", Kind::Object(&STUDY_ORGANIZATION)),
        required("iconUrl", Kind::OrNull(&Kind::AnyText)),
        required("status", STATUS),
        required("startsOn", Kind::OrNull(&Kind::Date)).about(STARTS_ON),
        required("endsOn", Kind::OrNull(&Kind::Date)).about(ENDS_ON),
        required("accessUntil", Kind::OrNull(&Kind::Instant)).about(ACCESS_UNTIL),
        required("retentionPolicy", Kind::OrNull(&Kind::Object(&RETENTION_POLICY))),
    ],
};

/// A study as it was created or changed.
pub const CHANGED_STUDY: Shape = Shape {
    name: "ChangedStudy",
    fields: &[
        required("id", Kind::Integer).about("From 30001."),
        required("name", Kind::AnyText),
        required("description", Kind::AnyText),
        required("organization", Kind::Integer),
        required("iconUrl", Kind::OrNull(&Kind::AnyText)),
        required("status", STATUS),
        required("startsOn", Kind::OrNull(&Kind::Date)).about(STARTS_ON),
        required("endsOn", Kind::OrNull(&Kind::Date)).about(ENDS_ON),
        required("accessUntil", Kind::OrNull(&Kind::Instant)).about(ACCESS_UNTIL),
        required("retentionPolicy", Kind::OrNull(&Kind::Object(&RETENTION_POLICY))),
    ],
};

/// A study to be created, or what is to change of one.
pub const NEW_STUDY: Shape = Shape {
    name: "NewStudy",
    fields: &[
        required("name", Kind::Text(255)),
        required("description", Kind::Lines(10_000)),
        required("organization", Kind::Integer).about("Whose it is. It never moves to another."),
        optional("iconUrl", Kind::OrNull(&Kind::Text(2_000))).about(ICON_URL),
        optional("status", STATUS).about("A new study is `active` if this is absent, or a `draft`."),
        optional("startsOn", Kind::OrNull(&Kind::Date)).about(STARTS_ON),
        optional("endsOn", Kind::OrNull(&Kind::Date)).about(ENDS_ON),
        optional("retentionPolicy", Kind::OrNull(&Kind::Object(&RETENTION_POLICY))),
    ],
};

/// The study of an enrolment or of what it asks for.
pub const STUDY_OF: Shape = Shape {
    name: "StudyOf",
    fields: &[
        required("id", Kind::Integer),
        required("name", Kind::AnyText),
        required("description", Kind::AnyText),
        required("iconUrl", Kind::OrNull(&Kind::AnyText)),
        required("lastUpdated", Kind::Instant),
        required("organization", Kind::Integer),
        required("patients", Kind::List(&Kind::Integer, 1)).about("The patient whom the row is about; never others."),
    ],
};

/// A scope that a study asks for.
pub const SCOPE_REQUEST: Shape = Shape {
    name: "ScopeRequest",
    fields: &[
        required("id", Kind::Integer).about("The scope's."),
        required("study", Kind::Object(&STUDY_OF)),
        required("scopeCode", Kind::Object(&SCOPE)),
    ],
};

/// A data source without what it supplies.
pub const DATA_SOURCE_OF: Shape = Shape {
    name: "DataSourceOf",
    fields: &[
        required("id", Kind::Integer),
        required("name", Kind::AnyText),
        required("type", Kind::AnyText),
        required("lastUpdated", Kind::Instant),
    ],
};

/// A data source that a study uses.
pub const STUDY_DATA_SOURCE: Shape = Shape {
    name: "StudyDataSource",
    fields: &[
        required("id", Kind::Integer).about("The data source's."),
        required("study", Kind::Object(&STUDY_OF)),
        required("dataSource", Kind::Object(&DATA_SOURCE_OF)),
    ],
};

/// A client without anything that is only for its operator.
pub const CLIENT_OF: Shape = Shape {
    name: "ClientOf",
    fields: &[
        required("id", Kind::Integer),
        required("client_id", Kind::AnyText),
        required("name", Kind::AnyText),
        required("invitationUrl", Kind::OrNull(&Kind::AnyText)),
    ],
};

/// A client that the patients of a study are invited to.
pub const STUDY_CLIENT: Shape = Shape {
    name: "StudyClient",
    fields: &[
        required("id", Kind::Integer).about("The client's."),
        required("study", Kind::Object(&STUDY_OF)),
        required("client", Kind::Object(&CLIENT_OF)),
    ],
};

/// Which scope.
pub const WHICH_SCOPE: Shape = Shape {
    name: "WhichScope",
    fields: &[required("scopeCodeId", Kind::Integer).about("The scope's id, from 50001.")],
};

/// Which data source.
pub const WHICH_DATA_SOURCE: Shape =
    Shape { name: "WhichDataSource", fields: &[required("dataSourceId", Kind::Integer).about("From 70001.")] };

/// Which client.
pub const WHICH_CLIENT: Shape =
    Shape { name: "WhichClient", fields: &[required("clientId", Kind::Integer).about("The client's row, from 1.")] };

/// Which patients are to be enrolled, or no more.
pub const WHICH_PATIENTS: Shape = Shape {
    name: "WhichPatients",
    fields: &[
        required("patientIds", Kind::List(&Kind::Integer, 1_000)).about("1 to 1,000 patients of the organization.")
    ],
};

const ENROLLED_PATIENT: Shape = Shape {
    name: "EnrolledPatient",
    fields: &[
        required("id", Kind::Integer),
        required("nameFamily", Kind::AnyText),
        required("nameGiven", Kind::AnyText),
        required("birthDate", Kind::Date),
        required("telecomPhone", Kind::OrNull(&Kind::AnyText)),
        required("lastUpdated", Kind::Instant),
        required("jheUser", Kind::Integer),
        required("organizations", Kind::List(&Kind::Integer, 10_000)).about("Those that the caller may know of."),
    ],
};

const ENROLMENT: Shape = Shape {
    name: "Enrolment",
    fields: &[
        required("id", Kind::Integer),
        required("study", Kind::Object(&STUDY_OF)),
        required("patient", Kind::Object(&ENROLLED_PATIENT)),
    ],
};

/// The enrolments asked for, new or not.
pub const ENROLMENTS: Shape =
    Shape { name: "Enrolments", fields: &[required("studyPatients", Kind::List(&Kind::Object(&ENROLMENT), 1_000))] };
