//! An event of the audit as a sentence, for the patient whom it concerns. It says who did what to which kind of data, and never
//! what the data are.

/// What came of it for the patient.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// Something of the patient's was shown or written.
    Something,
    /// So many resources of the patient's were counted, and none was shown.
    Counted(i64),
    /// Somebody asked for the patient, and nothing was found.
    Nothing,
}

/// What the sentence is made of.
#[derive(Clone, Copy, Debug)]
pub struct Told<'a> {
    /// `anonymous`, `patient`, `practitioner`, `super_admin` or `system`.
    pub actor_type: &'a str,
    /// The name of the actor, or the e-mail; none when the patient may not know.
    pub actor: Option<&'a str>,
    /// Whether the patient did it.
    pub is_self: bool,
    /// Those of the patient's organizations in which the actor had a role.
    pub organizations: &'a [&'a str],
    /// Whether it was a practitioner without a role in any organization that it was of.
    pub is_stranger: bool,
    /// Whether it was decided for the patient.
    pub is_on_behalf: bool,
    /// The studies for which.
    pub studies: &'a [&'a str],
    /// `read`, `search`, `create`, `update`, `delete` or `execute`.
    pub action: &'a str,
    /// To what.
    pub resource_type: &'a str,
    /// What came of it.
    pub found: Found,
    /// How many observations of the patient's were returned or written.
    pub observations: usize,
    /// Of which kinds these are.
    pub kinds: &'a [String],
    /// `allowed`, `denied` or `failed`.
    pub outcome: &'a str,
}

/// More kinds than these are counted.
const NAMED_KINDS: usize = 3;

/// The sentence.
#[must_use]
pub fn summary(told: &Told<'_>) -> String {
    let (done, to_do) = verb(told);
    let what = match told.outcome {
        "allowed" => format!("{done} {}", object(told)),
        "denied" => format!("tried to {to_do} {} and was refused", object(told)),
        _ => format!("tried to {to_do} {}, which did not work", object(told)),
    };
    let studies: Vec<String> = told.studies.iter().map(|study| (*study).to_owned()).collect();
    let purpose = match studies.as_slice() {
        [] => String::new(),
        [one] => format!(" for the study {one}"),
        all => format!(" for the studies {}", joined(all)),
    };
    let behalf = if told.is_on_behalf { " on your behalf" } else { "" };
    format!("{} {what}{behalf}{purpose}.", subject(told))
}

/// Who did it.
fn subject(told: &Told<'_>) -> String {
    match (told.actor_type, told.actor) {
        _ if told.is_self => "You".to_owned(),
        ("super_admin", Some(name)) => format!("{name}, an administrator of the exchange,"),
        ("practitioner", Some(name)) if !told.organizations.is_empty() => {
            let organizations: Vec<String> = told.organizations.iter().map(|name| (*name).to_owned()).collect();
            format!("{name} of {}", joined(&organizations))
        }
        ("practitioner", Some(name)) if told.is_stranger => format!("{name}, who is of none of your organizations,"),
        (_, Some(name)) => name.to_owned(),
        ("patient", None) => "Another patient".to_owned(),
        ("system", None) => "The exchange itself".to_owned(),
        ("anonymous", None) => "Somebody who was not signed in".to_owned(),
        (_, None) => "Somebody".to_owned(),
    }
}

/// What was done, and what was tried.
fn verb(told: &Told<'_>) -> (&'static str, &'static str) {
    match told.action {
        "search" if matches!(told.found, Found::Counted(_)) => ("counted", "count"),
        "search" if told.found == Found::Nothing || told.resource_type == "Observation" && told.observations == 0 => {
            ("looked for", "look for")
        }
        "read" | "search" => ("viewed", "view"),
        "create" if told.resource_type == "Retention" => ("announced the deletion of", "announce the deletion of"),
        "create" => ("added", "add"),
        "update" => ("changed", "change"),
        "delete" => ("removed", "remove"),
        _ => ("used", "use"),
    }
}

/// To what.
fn object(told: &Told<'_>) -> String {
    let owned = if told.is_self { "your own" } else { "your" };
    if let Found::Counted(counted) = told.found {
        let is_observation = told.resource_type == "Observation";
        let things = if is_observation { "observations".to_owned() } else { thing(told.resource_type) };
        return format!("{counted} of {owned} {things}");
    }
    match (told.resource_type, told.observations) {
        ("Observation", 0) => {
            let found = matches!((told.outcome, told.action), ("allowed", "search"));
            if found { format!("{owned} observations and found none") } else { format!("{owned} observations") }
        }
        (_, 1..) => observations(told, owned),
        (name, _) if told.found == Found::Nothing && (told.outcome, told.action) == ("allowed", "search") => {
            format!("{owned} {} and found nothing", thing(name))
        }
        (name, _) => format!("{owned} {}", thing(name)),
    }
}

/// So many observations of these kinds.
fn observations(told: &Told<'_>, owned: &str) -> String {
    let count = if told.observations == 1 { "one".to_owned() } else { told.observations.to_string() };
    let kinds: Vec<String> = told.kinds.iter().map(|kind| in_small_letters(kind)).collect();
    match kinds.as_slice() {
        [] => format!("{count} of {owned} observations"),
        [one] => format!("{count} of {owned} {one} observations"),
        few if few.len() <= NAMED_KINDS => format!("{count} of {owned} observations ({})", joined(few)),
        many => {
            let mut named: Vec<String> = many.iter().take(NAMED_KINDS).cloned().collect();
            named.push(match many.len() - NAMED_KINDS {
                1 => "one other kind".to_owned(),
                more => format!("{more} other kinds"),
            });
            format!("{count} of {owned} observations ({})", joined(&named))
        }
    }
}

/// A resource in plain words.
fn thing(resource_type: &str) -> String {
    let known = match resource_type {
        "Patient" | "User" => "record",
        "Consent" => "consents",
        "AuditEvent" => "access log",
        "Group" => "enrolment",
        "Invitation" => "invitation",
        "Session" | "Authorization" | "Token" => "sign-in",
        "Password" | "PasswordReset" => "password",
        "SecondFactor" | "RecoveryCode" | "Passkey" | "EmailCode" => "second factor",
        "PatientOrganization" | "OrganizationRequest" | "Organization" => "place in an organization",
        "FhirSource" | "Device" => "data source",
        "SignUp" => "account",
        "QuestionnaireResponse" => "answers to questionnaires",
        "RetentionNotice" => "notices of what will be deleted",
        "Retention" => "data whose time is over",
        "Erasure" => "erasure",
        "LegalHold" => "legal hold",
        _ => "",
    };
    if known.is_empty() { format!("{resource_type} resources") } else { known.to_owned() }
}

/// `Heart Rate` as `heart rate`, `RR Interval` as `RR interval`.
fn in_small_letters(text: &str) -> String {
    let words = text.split(' ').map(|word| {
        let is_acronym = word.len() > 1 && word.chars().all(|letter| !letter.is_lowercase());
        if is_acronym { word.to_owned() } else { word.to_lowercase() }
    });
    words.collect::<Vec<_>>().join(" ")
}

/// `a`, `a and b`, `a, b and c`.
fn joined(names: &[String]) -> String {
    match names {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VIEW: Told<'static> = Told {
        actor_type: "practitioner",
        actor: Some("Dr Mary Jones"),
        is_self: false,
        organizations: &["Cardiology"],
        is_stranger: false,
        is_on_behalf: false,
        studies: &["Sleep and Sugar"],
        action: "search",
        resource_type: "Observation",
        found: Found::Something,
        observations: 12,
        kinds: &[],
        outcome: "allowed",
    };

    fn kinds(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn a_view_says_who_how_many_of_which_kind_and_for_what() {
        for (names, expected) in [
            (vec![], "12 of your observations"),
            (vec!["Blood glucose"], "12 of your blood glucose observations"),
            (vec!["Heart Rate", "RR Interval"], "12 of your observations (heart rate and RR interval)"),
            (vec!["A a", "B", "C", "D"], "12 of your observations (a a, b, c and one other kind)"),
            (vec!["a", "b", "c", "d", "e"], "12 of your observations (a, b, c and 2 other kinds)"),
        ] {
            let kinds = kinds(&names);
            assert_eq!(
                summary(&Told { kinds: &kinds, ..VIEW }),
                format!("Dr Mary Jones of Cardiology viewed {expected} for the study Sleep and Sugar.")
            );
        }
    }

    #[test]
    fn every_kind_of_actor_and_outcome_has_a_sentence() {
        let sentence = |told: Told<'_>| summary(&Told { studies: &[], ..told });
        for (told, expected) in [
            (Told { observations: 1, ..VIEW }, "Dr Mary Jones of Cardiology viewed one of your observations."),
            (
                Told { observations: 0, ..VIEW },
                "Dr Mary Jones of Cardiology looked for your observations and found none.",
            ),
            (
                Told { action: "update", resource_type: "Consent", observations: 0, is_on_behalf: true, ..VIEW },
                "Dr Mary Jones of Cardiology changed your consents on your behalf.",
            ),
            (
                Told { observations: 0, found: Found::Counted(2), ..VIEW },
                "Dr Mary Jones of Cardiology counted 2 of your observations.",
            ),
            (
                Told { observations: 0, resource_type: "QuestionnaireResponse", found: Found::Nothing, ..VIEW },
                "Dr Mary Jones of Cardiology looked for your answers to questionnaires and found nothing.",
            ),
            (
                Told { observations: 0, resource_type: "QuestionnaireResponse", ..VIEW },
                "Dr Mary Jones of Cardiology viewed your answers to questionnaires.",
            ),
            (
                Told { observations: 0, outcome: "denied", ..VIEW },
                "Dr Mary Jones of Cardiology tried to look for your observations and was refused.",
            ),
            (
                Told { observations: 0, outcome: "denied", organizations: &[], ..VIEW },
                "Dr Mary Jones tried to look for your observations and was refused.",
            ),
            (
                Told { observations: 0, outcome: "denied", organizations: &[], is_stranger: true, ..VIEW },
                "Dr Mary Jones, who is of none of your organizations, tried to look for your observations and was refused.",
            ),
            (
                Told { actor_type: "super_admin", resource_type: "Consent", observations: 0, action: "read", ..VIEW },
                "Dr Mary Jones, an administrator of the exchange, viewed your consents.",
            ),
            (
                Told {
                    actor_type: "patient",
                    actor: None,
                    resource_type: "Patient",
                    observations: 0,
                    action: "read",
                    outcome: "denied",
                    ..VIEW
                },
                "Another patient tried to view your record and was refused.",
            ),
            (Told { is_self: true, action: "create", ..VIEW }, "You added 12 of your own observations."),
            (
                Told {
                    is_self: true,
                    action: "update",
                    resource_type: "Patient",
                    observations: 0,
                    outcome: "failed",
                    ..VIEW
                },
                "You tried to change your own record, which did not work.",
            ),
            (
                Told {
                    actor_type: "system",
                    actor: None,
                    action: "delete",
                    resource_type: "Condition",
                    observations: 0,
                    ..VIEW
                },
                "The exchange itself removed your Condition resources.",
            ),
            (
                Told {
                    actor_type: "anonymous",
                    actor: None,
                    action: "execute",
                    resource_type: "Session",
                    observations: 0,
                    outcome: "denied",
                    ..VIEW
                },
                "Somebody who was not signed in tried to use your sign-in and was refused.",
            ),
        ] {
            assert_eq!(sentence(told), expected);
        }
    }

    #[test]
    fn deletion_by_policy_is_told_when_it_is_announced_and_when_it_is_read() {
        let announced = Told {
            studies: &[],
            actor_type: "system",
            actor: None,
            action: "create",
            resource_type: "Retention",
            observations: 0,
            ..VIEW
        };
        assert_eq!(summary(&announced), "The exchange itself announced the deletion of your data whose time is over.");
        let read = Told {
            studies: &[],
            is_self: true,
            action: "search",
            resource_type: "RetentionNotice",
            observations: 0,
            ..VIEW
        };
        assert_eq!(summary(&read), "You viewed your own notices of what will be deleted.");
    }

    #[test]
    fn several_studies_and_organizations_are_listed() {
        let told = Told { studies: &["A", "B", "C"], organizations: &["X", "Y"], ..VIEW };
        assert_eq!(
            summary(&told),
            "Dr Mary Jones of X and Y viewed 12 of your observations for the studies A, B and C."
        );
    }
}
