use proptest::prelude::*;

use super::*;

fn scope(text: &str) -> Scope {
    Scope::parse(text).unwrap()
}

/// The letters that a scope opens for a resource type to a holder.
fn opened(text: &str, holder: Holder, resource: &str) -> String {
    let permitted = |one: &&Interaction| permits(&scope(text), holder, resource, **one);
    Interaction::ALL.iter().filter(permitted).map(|one| one.letter()).collect()
}

#[test]
fn the_letters_of_version_2_and_the_words_of_version_1() {
    for (text, letters) in [
        ("user/Observation.c", "c"),
        ("user/Observation.rs", "rs"),
        ("user/Observation.cruds", "cruds"),
        ("user/Observation.cs", "cs"),
        ("user/Observation.read", "rs"),
        ("user/Observation.write", "cud"),
        ("user/Observation.*", "cruds"),
        ("user/*.s", "s"),
        ("user/*.*", "cruds"),
        ("openid user/Observation.r user/Observation.s", "rs"),
        ("openid user/Patient.r", ""),
    ] {
        assert_eq!(opened(text, Holder::User, "Observation"), letters, "{text}");
    }
}

#[test]
fn what_is_not_exactly_a_scope_opens_nothing() {
    for text in [
        "user/Observation.sr",
        "user/Observation.rr",
        "user/Observation.x",
        "user/Observation.rsx",
        "user/Observation.",
        "user/Observation",
        "user/Observation.Read",
        "user/Observation.reads",
        "user/observation.rs",
        "user/Obs*.rs",
        "user/**.rs",
        "user/.rs",
        "user/Observation.rs.rs",
        "user/Observation.rs?category=laboratory",
        "user/Observation?.rs",
        "user//Observation.rs",
        "User/Observation.rs",
        "users/Observation.rs",
        "Observation.rs",
        "launch/patient",
        "openid",
    ] {
        for holder in [Holder::Patient, Holder::User, Holder::Client] {
            assert_eq!(opened(text, holder, "Observation"), "", "{text}");
        }
    }
}

#[test]
fn a_level_counts_only_for_its_holders() {
    for (text, patient, user, client) in [
        ("patient/Observation.rs", "rs", "", ""),
        ("user/Observation.rs", "rs", "rs", "rs"),
        ("system/Observation.rs", "", "", "rs"),
    ] {
        for (holder, letters) in [(Holder::Patient, patient), (Holder::User, user), (Holder::Client, client)] {
            assert_eq!(opened(text, holder, "Observation"), letters, "{text} {holder:?}");
        }
    }
}

#[test]
fn a_scope_is_covered_by_those_of_its_level_together() {
    for (asked, registered, covered) in [
        ("patient/Observation.rs", "patient/*.rs", true),
        ("patient/Observation.read", "patient/Observation.rs", true),
        ("patient/Observation.rs", "patient/Observation.r patient/*.s", true),
        ("patient/Observation.crs", "patient/Observation.rs", false),
        ("patient/*.r", "patient/Observation.r", false),
        ("patient/Observation.r", "user/Observation.r", false),
        ("system/Observation.r", "user/*.cruds openid", false),
        ("user/Observation.r", "user/Observation.r?code=x", false),
    ] {
        assert_eq!(
            SmartScope::parse(asked).unwrap().is_covered_by(&scope(registered)),
            covered,
            "{asked} {registered}"
        );
    }
}

#[test]
fn whatever_has_a_slash_speaks_smart() {
    for text in ["openid user/Patient.r", "launch/patient", "user/x", "patient/Observation.rs?category=x", "a/b"] {
        assert!(is_named(&scope(text)), "{text}");
    }
    assert!(!is_named(&scope("openid profile email offline_access")));
    assert!(!is_named(&Scope::default()));
}

fn holder() -> impl Strategy<Value = Holder> {
    prop_oneof![Just(Holder::Patient), Just(Holder::User), Just(Holder::Client)]
}

proptest! {
    #[test]
    fn a_resource_that_is_not_named_stays_closed(
        tokens in prop::collection::vec("(patient|user|system)/(Patient|Group|Device)\\.c?r?u?d?s?", 1..6),
        holder in holder(),
    ) {
        let scope = Scope::parse(&tokens.join(" ")).unwrap();
        for interaction in Interaction::ALL {
            prop_assert!(!permits(&scope, holder, "Observation", interaction));
        }
    }

    #[test]
    fn more_tokens_never_open_less_and_one_token_opens_what_it_says(
        token in "(patient|user|system)/(\\*|Observation)\\.(c?r?u?d?s|read|write|\\*)",
        other in "[!#-\\[\\]-~]{1,24}",
        holder in holder(),
    ) {
        for interaction in Interaction::ALL {
            let alone = permits(&scope(&token), holder, "Observation", interaction);
            let beside = permits(&scope(&format!("{token} {other}")), holder, "Observation", interaction);
            let levels: &[&str] = match holder {
                Holder::Client => &["system/", "user/"],
                Holder::User => &["user/"],
                Holder::Patient => &["user/", "patient/"],
            };
            let said = match token.split_once('.').unwrap().1 {
                "read" => "rs", "write" => "cud", "*" => "cruds", letters => letters,
            };
            let counts = levels.iter().any(|level| token.starts_with(level));
            prop_assert_eq!(alone, counts && said.contains(interaction.letter()));
            prop_assert!(beside || !alone);
        }
    }

    #[test]
    fn what_covers_opens_at_least_as_much(
        asked in "(patient|user|system)/(\\*|Observation|Patient)\\.c?r?u?d?s",
        registered in "((patient|user|system)/(\\*|Observation|Patient)\\.c?r?u?d?s ){0,3}openid",
        holder in holder(),
    ) {
        let registered = scope(&registered);
        if SmartScope::parse(&asked).unwrap().is_covered_by(&registered) {
            for resource in ["Observation", "Patient", "Group"] {
                for interaction in Interaction::ALL {
                    prop_assert!(
                        !permits(&scope(&asked), holder, resource, interaction)
                            || permits(&registered, holder, resource, interaction)
                    );
                }
            }
        }
    }

    #[test]
    fn no_input_panics(text in ".*") {
        let _ = SmartScope::parse(&text);
    }
}
