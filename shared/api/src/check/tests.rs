use super::*;
use crate::{optional, required};
use serde_json::json;

const IDENTIFIER: Shape =
    Shape { name: "Identifier", fields: &[required("system", Kind::Text(5)), required("value", Kind::Text(5))] };

const SHAPE: Shape = Shape {
    name: "Thing",
    fields: &[
        required("organizationId", Kind::Integer),
        required("name", Kind::Text(5)),
        optional("isOpen", Kind::Boolean),
        optional("email", Kind::Email),
        optional("birthDate", Kind::Date),
        optional("endsAt", Kind::OrNull(&Kind::Instant)),
        optional("status", Kind::OneOf(&["draft", "active"])),
        optional("ids", Kind::List(&Kind::Integer, 2)),
        optional("identifiers", Kind::List(&Kind::Object(&IDENTIFIER), 9)),
        optional("settings", Kind::Document),
    ],
};

fn problems(change: &Value) -> Vec<(String, String)> {
    let mut body = json!({ "organizationId": 1, "name": "N" });
    for (name, value) in change.as_object().unwrap() {
        body[name] = value.clone();
    }
    flat(SHAPE.problems(body.as_object().unwrap(), Completeness::Whole))
}

fn flat(problems: Problems) -> Vec<(String, String)> {
    problems.into_iter().map(|(name, texts)| (name, texts.join(" "))).collect()
}

#[test]
fn what_is_described_is_taken() {
    for good in [
        json!({}),
        json!({"organizationId": "20003", "name": "  Nämen  "}),
        json!({"isOpen": false, "email": "a@b.c", "birthDate": "2000-02-29", "endsAt": null, "status": "draft"}),
        json!({"endsAt": "2026-11-21T18:00:00.5+02:00", "ids": [1, "2"], "settings": {"a": [1]}}),
        json!({"identifiers": [{"system": "a", "value": "b"}], "is_open": true}),
    ] {
        assert_eq!(problems(&good), [], "{good}");
    }
}

#[test]
fn every_problem_has_its_fields_name_and_no_value() {
    for (bad, at) in [
        (json!({"organizationId": "x-secret"}), "organizationId"),
        (json!({"organizationId": 3_000_000_000_u32}), "organizationId"),
        (json!({"organizationId": 1.5}), "organizationId"),
        (json!({"organizationId": null}), "organizationId"),
        (json!({"name": ""}), "name"),
        (json!({"name": "  "}), "name"),
        (json!({"name": "secret"}), "name"),
        (json!({"name": "a\u{0}"}), "name"),
        (json!({"name": 5}), "name"),
        (json!({"isOpen": "secret"}), "isOpen"),
        (json!({"email": "secret"}), "email"),
        (json!({"birthDate": "2000-02-30"}), "birthDate"),
        (json!({"endsAt": "secret"}), "endsAt"),
        (json!({"status": "secret"}), "status"),
        (json!({"ids": 5}), "ids"),
        (json!({"ids": [1, 2, 3]}), "ids"),
        (json!({"ids": [1, "secret"]}), "ids[1]"),
        (json!({"identifiers": [{"system": "a", "value": "b"}, 5]}), "identifiers[1]"),
        (json!({"identifiers": [{"system": "a"}]}), "identifiers[0].value"),
        (json!({"identifiers": [{"system": "a", "value": "b", "more": "secret"}]}), "identifiers[0].more"),
        (json!({"settings": "secret"}), "settings"),
        (json!({"isAdmin": "secret"}), "isAdmin"),
    ] {
        let found = problems(&bad);
        assert_eq!(found.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), [at], "{bad}");
        assert!(!format!("{found:?}").contains("secret"), "{found:?}");
    }
}

#[test]
fn all_that_is_wrong_is_told_at_once() {
    let body = json!({"isOpen": 1, "status": "x"});
    let found = SHAPE.problems(body.as_object().unwrap(), Completeness::Whole);
    assert_eq!(found.into_keys().collect::<Vec<_>>(), ["isOpen", "name", "organizationId", "status"]);
}

#[test]
fn a_change_needs_no_more_than_what_changes() {
    let body = json!({"status": "active"});
    assert_eq!(flat(SHAPE.problems(body.as_object().unwrap(), Completeness::Part)), []);
    let body = json!({"name": null});
    assert_eq!(
        flat(SHAPE.problems(body.as_object().unwrap(), Completeness::Part)),
        [("name".to_owned(), NULL.to_owned())]
    );
}

#[test]
fn days_that_were() {
    for bad in
        ["1990-02-30", "19900101", "1990-1-1", "0000-01-01", "-990-01-01", "1990-01-01T00:00Z", "1990-01-0\u{660}"]
    {
        assert_eq!(date(bad), None, "{bad}");
    }
    for good in ["0001-01-01", "2000-02-29", "9999-12-31"] {
        assert!(date(good).is_some(), "{good}");
    }
}

#[test]
fn addresses() {
    for good in ["a@b.c", "first.last+tag@mail.example.com", "o'neil@example.org"] {
        assert!(is_email(good), "{good}");
    }
    for bad in [
        "",
        "a",
        "a@",
        "@b.c",
        "a@b",
        "a@b..c",
        ".a@b.c",
        "a b@c.d",
        "a@b.c@d.e",
        "a@-b.c",
        "a@b_c.d",
        "\u{e9}@b.c",
        "a<@b.c",
    ] {
        assert!(!is_email(bad), "{bad}");
    }
    assert!(!is_email(&format!("a@{}b.example", "c.".repeat(130))));
}

#[test]
fn names_in_two_spellings() {
    for (name, snake) in [("organizationId", "organization_id"), ("client_id", "client_id"), ("name", "name")] {
        assert_eq!(snake_case(name), snake);
    }
}

#[test]
fn a_member_in_both_spellings_is_refused() {
    let expected = [("organizationId".to_owned(), "It is given more than once.".to_owned())];
    assert_eq!(problems(&json!({ "organization_id": 2 })), expected);
}
