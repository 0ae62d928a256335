use super::*;
use crate::{RequestParts, text_json};
use authz::{Actor, ClientId, GrantId, Principal, UserId};
use bytes::Bytes;
use http::HeaderMap;
use oauth::{Scope, resource::Audience};
use std::collections::HashMap;

const ACTOR: Actor = Actor { user: UserId(1), client: ClientId(2), principal: Principal::SuperAdmin };

fn request(method: Method, keys: &[&[u8]], query: &str, body: &'static str) -> Request {
    request_to("/api/v1/patients", method, keys, query, body)
}

fn request_to(path: &str, method: Method, keys: &[&[u8]], query: &str, body: &'static str) -> Request {
    let mut headers = HeaderMap::new();
    headers.insert(header::AUTHORIZATION, HeaderValue::from_static("Bearer x"));
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    for key in keys {
        headers.append(KEY, HeaderValue::from_bytes(key).unwrap());
    }
    Request::from(RequestParts {
        method,
        path: path.to_owned(),
        variables: HashMap::new(),
        query: query.to_owned(),
        headers,
        body: Bytes::from_static(body.as_bytes()),
        source: None,
        id: "r".to_owned(),
    })
}

fn caller(whole_access: bool, scope: &str) -> Authenticated {
    let (scope, audience) = (Scope::parse(scope).unwrap(), Audience::default());
    Authenticated {
        grant: GrantId(1),
        actor: ACTOR,
        scope,
        audience,
        whole_access,
        key: None,
        is_by_client: false,
        is_strong_enough: true,
        signed_in_at: jiff::Timestamp::UNIX_EPOCH,
    }
}

fn seal(secret: u8, key: &str, actor: &Actor, fingerprint: u8) -> Seal {
    Seal::new(&[secret; 32], key, KeyOwner { actor, key: TokenHash::of(key) }, &[fingerprint; 32])
}

#[test]
fn a_key_is_one_value_of_visible_characters() {
    let of = |keys: &[&[u8]]| {
        Key::of(&request(Method::POST, keys, "", ""), Protocol::Rest).map(|key| key.map(|key| key.0.to_owned()))
    };
    assert_eq!(of(&[]).unwrap(), None);
    assert_eq!(of(&[b"\"8e03978e-40d5\""]).unwrap().as_deref(), Some("\"8e03978e-40d5\""));
    assert!(of(&[&[b'a'; 255]]).unwrap().is_some());
    for bad in [&[b"".as_slice()][..], &[b"a b"], &[b"\t"], &[b"\xc3\xa4"], &[&[b'a'; 256]], &[b"a", b"a"]] {
        assert!(matches!(of(bad), Err(Failure::Invalid(_))), "{bad:?}");
    }
}

#[test]
fn only_a_post_of_data_has_a_key() {
    for (method, protocol, expected) in [
        (Method::POST, Protocol::Rest, true),
        (Method::POST, Protocol::Fhir, true),
        (Method::POST, Protocol::OAuth, false),
        (Method::POST, Protocol::Page, false),
        (Method::GET, Protocol::Rest, false),
        (Method::PATCH, Protocol::Rest, false),
    ] {
        let has = Key::of(&request(method.clone(), &[b"k"], "", ""), protocol).unwrap().is_some();
        assert_eq!(has, expected, "{method} {protocol:?}");
    }
}

#[test]
fn every_part_of_a_request_is_in_its_fingerprint() {
    let whole = caller(true, "openid");
    let all = [
        fingerprint(&request(Method::POST, &[], "", "{}"), &whole),
        fingerprint(&request(Method::POST, &[], "a=1", "{}"), &whole),
        fingerprint(&request(Method::POST, &[], "", "{} "), &whole),
        fingerprint(&request(Method::PUT, &[], "", "{}"), &whole),
        fingerprint(&request(Method::POST, &[], "", "{}"), &caller(false, "openid")),
        fingerprint(&request(Method::POST, &[], "", "{}"), &caller(true, "openid email")),
    ]
    .map(Result::unwrap);
    for (index, one) in all.iter().enumerate() {
        assert!(all.iter().skip(index + 1).all(|other| other != one), "{index}");
    }
    assert_eq!(all[0], fingerprint(&request(Method::POST, &[b"k"], "", "{}"), &whole).unwrap());
}

#[test]
fn an_answer_opens_with_its_own_keys_only() {
    let mut response = text_json(StatusCode::CREATED, "{\"a\":\n1}".to_owned());
    response.headers_mut().insert(header::LOCATION, HeaderValue::from_static("/x/1"));
    response.headers_mut().insert(header::SET_COOKIE, HeaderValue::from_static("a=b"));
    let sealed = seal(1, "k", &ACTOR, 7).seal(&response).unwrap();
    assert!(!sealed.windows(4).any(|bytes| bytes == b"/x/1"));
    let opened = seal(1, "k", &ACTOR, 7).open(&sealed).unwrap();
    assert_eq!((opened.status(), opened.body()), (StatusCode::CREATED, response.body()));
    assert_eq!(opened.headers()[header::LOCATION], "/x/1");
    assert_eq!(opened.headers().get(header::SET_COOKIE), None);
    let other_user = Actor { user: UserId(9), ..ACTOR };
    let other_client = Actor { client: ClientId(9), ..ACTOR };
    for (name, wrong) in [
        ("secret", seal(2, "k", &ACTOR, 7)),
        ("key", seal(1, "l", &ACTOR, 7)),
        ("user", seal(1, "k", &other_user, 7)),
        ("client", seal(1, "k", &other_client, 7)),
        ("request", seal(1, "k", &ACTOR, 8)),
    ] {
        assert!(wrong.open(&sealed).is_none(), "{name}");
    }
    assert!(seal(1, "k", &ACTOR, 7).open(&sealed[..11]).is_none());
}

#[test]
fn a_repeat_is_judged_by_what_is_known_of_the_first() {
    let seal = seal(1, "k", &ACTOR, 7);
    let sealed = seal.seal(&text_json(StatusCode::OK, "{}".to_owned())).unwrap();
    let status = |fingerprint: u8, age, is_finished, answer: Option<&[u8]>| {
        let answer = answer.map(<[u8]>::to_vec);
        let earlier = Earlier { fingerprint: vec![fingerprint; 32], age, is_finished, answer, is_as_before: true };
        match repeated(&earlier, &[7; 32], &seal) {
            Ok(response) => (response.status().as_u16(), None),
            Err(failure) => {
                let response = failure.response(Protocol::Rest);
                let retry = response.headers().get(header::RETRY_AFTER).is_some();
                (response.status().as_u16(), Some(retry))
            }
        }
    };
    assert_eq!(status(7, 0, true, Some(&sealed)), (200, None));
    assert_eq!(status(8, 0, true, Some(&sealed)), (422, Some(false)), "another request");
    assert_eq!(status(8, 0, false, None), (422, Some(false)), "another request");
    assert_eq!(status(7, LONGEST_SECONDS - 1, false, None), (409, Some(true)), "it runs");
    assert_eq!(status(7, LONGEST_SECONDS, false, None), (409, Some(false)), "it ended without an answer");
    assert_eq!(status(7, 0, true, None), (409, Some(false)), "too large");
    assert_eq!(status(7, 0, true, Some(b"of another secret")), (409, Some(false)));
}

#[test]
fn whose_rights_have_changed_is_told_what_was_done_and_shown_nothing() {
    let mut created = text_json(StatusCode::CREATED, "{\"name\": \"Nora\"}".to_owned());
    created.headers_mut().insert(header::LOCATION, HeaderValue::from_static("/x/1"));
    let bare = without_body(created).unwrap();
    assert_eq!((bare.status(), bare.body().len()), (StatusCode::CREATED, 0));
    assert_eq!((bare.headers().len(), &bare.headers()[header::LOCATION]), (1, &HeaderValue::from_static("/x/1")));
    assert!(matches!(without_body(text_json(StatusCode::FORBIDDEN, "{}".to_owned())), Err(Failure::Conflict(_))));
}

#[test]
fn a_search_has_no_key_not_even_a_bad_one() {
    for path in ["/FHIR/R5/Observation/_search", "/fhir/r5/Patient/_search", "/FHIR/R5/Condition/_search/"] {
        for key in [b"k".as_slice(), b"a b"] {
            let search = request_to(path, Method::POST, &[key], "", "");
            assert!(Key::of(&search, Protocol::Fhir).unwrap().is_none(), "{path}");
        }
    }
}

#[test]
fn what_surely_did_nothing_frees_its_key() {
    let kept = |result| match Kept::of(&result, Protocol::Rest) {
        Kept::Answer(response) => response.status().as_u16(),
        Kept::Nothing => 0,
        Kept::Claim => 1,
    };
    let unavailable = |error: StoreError| Err(Failure::from(error));
    assert_eq!(kept(Ok(text_json(StatusCode::CREATED, String::new()))), 201);
    assert_eq!(kept(Err(Failure::Invalid(String::new()))), 400);
    assert_eq!(kept(Err(Failure::NotFound)), 404);
    assert_eq!(kept(Err(Failure::Unauthenticated)), 0);
    assert_eq!(kept(Err(Failure::TooManyRequests(1))), 0);
    assert_eq!(kept(unavailable(StoreError::Timeout)), 0, "the database rolled it back");
    assert_eq!(kept(unavailable(StoreError::Contention)), 0);
    assert_eq!(kept(unavailable(StoreError::Refused("42501".to_owned()))), 0);
    assert_eq!(kept(unavailable(StoreError::Unavailable("the connection broke".into()))), 1);
}
