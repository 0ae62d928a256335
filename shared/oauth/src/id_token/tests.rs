use serde_json::{Value, json};

use super::*;

fn subject() -> Subject {
    Subject {
        user: 10002,
        email: Some("manager_mary@example.com".to_owned()),
        email_verified: None,
        given_name: Some("ManagerMary".to_owned()),
        family_name: Some("Wiley".to_owned()),
        patient: None,
        practitioner: Some(80002),
    }
}

fn user_claims(scope: &str) -> Value {
    claims_of(&subject(), scope)
}

fn claims_of(subject: &Subject, scope: &str) -> Value {
    let endpoints = Endpoints::new("https://e.example");
    serde_json::to_value(UserClaims::for_scope(subject, &Scope::parse(scope).unwrap(), &endpoints)).unwrap()
}

#[test]
fn a_user_is_a_patient_or_a_practitioner_smart_2_2_fhir_user() {
    for (patient, practitioner, expected) in [
        (None, Some(80002), json!("https://e.example/FHIR/R5/Practitioner/80002")),
        (Some(40001), None, json!("https://e.example/FHIR/R5/Patient/40001")),
        (Some(40001), Some(80002), Value::Null),
        (None, None, Value::Null),
    ] {
        let subject = Subject { patient, practitioner, ..subject() };
        assert_eq!(claims_of(&subject, "openid fhirUser")["fhirUser"], expected, "{patient:?} {practitioner:?}");
        assert_eq!(claims_of(&subject, "openid profile").get("fhirUser"), None, "not asked for");
    }
}

#[test]
fn the_scope_decides_what_is_told_openid_connect_5_4() {
    let email = "manager_mary@example.com";
    for (scope, expected) in [
        ("openid", json!({"sub": "10002"})),
        ("openid email", json!({"sub": "10002", "email": email})),
        ("openid profile", json!({"sub": "10002", "given_name": "ManagerMary", "family_name": "Wiley"})),
        ("openid Email", json!({"sub": "10002"})),
    ] {
        assert_eq!(user_claims(scope), expected, "{scope}");
    }
}

#[test]
fn the_claims_are_those_of_openid_connect_2() {
    let scope = Scope::parse("openid email").unwrap();
    let subject = subject();
    // The access token of OpenID Connect Core A.3, whose at_hash is given in A.4.
    let access_token = Secret::presented("jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y");
    let facts = IdTokenFacts {
        endpoints: &Endpoints::new("https://e.example"),
        client_id: "app",
        subject: &subject,
        scope: &scope,
        nonce: Some("n1"),
        auth_time: Timestamp::from_second(900).unwrap(),
        methods: &["pwd".to_owned(), "otp".to_owned(), "mfa".to_owned()],
        access_token: &access_token,
        lifetime: SignedDuration::from_mins(15),
        now: Timestamp::from_second(1000).unwrap(),
    };
    let expected = json!({
        "iss": "https://e.example/o", "aud": "app", "sub": "10002", "exp": 1900, "iat": 1000, "auth_time": 900,
        "acr": "urn:jupyterhealth:acr:two-factors", "amr": ["pwd", "otp", "mfa"],
        "nonce": "n1", "at_hash": "77QmUPtjPfzWtF2AnpK9RQ", "email": "manager_mary@example.com",
    });
    assert_eq!(serde_json::to_value(IdTokenClaims::new(&facts)).unwrap(), expected);
    let facts = IdTokenFacts { nonce: None, methods: &[], ..facts };
    let without = serde_json::to_value(IdTokenClaims::new(&facts)).unwrap();
    for name in ["nonce", "acr", "amr"] {
        assert_eq!(without.get(name), None, "{name}");
    }
}
