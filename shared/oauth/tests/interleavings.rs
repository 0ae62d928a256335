//! Random interleavings of issue, exchange, refresh, replay, revoke, end and expire: no token works that should not, and
//! none fails that should work.
//!
//! [`Server`] keeps records as the database does and asks the engine for every decision. [`Expected`] knows no engine: it
//! keeps the history of each authorization, and says from the rules alone which tokens are good.

#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::unwrap_used)]

use jiff::{SignedDuration, Timestamp};
use oauth::{
    Client, ClientKind, GrantType, Scope, Secret,
    grant::{CodeRecord, GrantError, Granted, Lifetimes, RefreshRecord, Terms, redeem_code, rotate_refresh},
    pkce::Verifier,
    resource::Audience,
    token_request::{CodeExchange, RefreshExchange},
};
use proptest::prelude::*;

const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const OTHER_VERIFIER: &str = "eBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const URI: &str = "https://a.example/cb";
const CLIENTS: i32 = 2;
/// How many seconds an authorization lasts: few enough that the walks come to its end.
const LONGEST: i64 = 30 * 86_400;

/// What somebody does. Indices are taken modulo what there is.
#[derive(Clone, Debug)]
enum Step {
    Issue {
        client: i32,
    },
    Exchange {
        code: usize,
        client: i32,
        knows_verifier: bool,
    },
    Refresh {
        token: usize,
        client: i32,
        too_wide: bool,
    },
    RevokeRefresh {
        token: usize,
        client: i32,
    },
    RevokeAccess {
        token: usize,
        client: i32,
    },
    /// The person ends the authorization, or all of them with the password.
    End {
        family: usize,
    },
    Wait {
        seconds: i64,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let client = || 0..CLIENTS;
    let index = || 0..8_usize;
    prop_oneof![
        2 => client().prop_map(|client| Step::Issue { client }),
        6 => (index(), client(), prop::bool::weighted(0.8))
            .prop_map(|(code, client, knows_verifier)| Step::Exchange { code, client, knows_verifier }),
        8 => (index(), client(), prop::bool::weighted(0.1))
            .prop_map(|(token, client, too_wide)| Step::Refresh { token, client, too_wide }),
        1 => (index(), client()).prop_map(|(token, client)| Step::RevokeRefresh { token, client }),
        1 => (index(), client()).prop_map(|(token, client)| Step::RevokeAccess { token, client }),
        1 => index().prop_map(|family| Step::End { family }),
        3 => prop_oneof![0..70_i64, 0..2_000_i64, 0..2_000_000_i64].prop_map(|seconds| Step::Wait { seconds }),
    ]
}

struct Token {
    grant: usize,
    expires_at: Timestamp,
    ended: bool,
}

struct Grant {
    client: i32,
    began_at: Timestamp,
    revoked_at: Option<Timestamp>,
}

/// The records, and what the store writes after each decision.
struct Server {
    now: Timestamp,
    lifetimes: Lifetimes,
    grants: Vec<Grant>,
    codes: Vec<(usize, CodeRecord)>,
    refresh: Vec<Token>,
    access: Vec<Token>,
}

fn client(id: i32) -> Client {
    Client {
        id,
        client_id: format!("app{id}"),
        name: String::new(),
        kind: ClientKind::Public,
        redirect_uris: vec![URI.to_owned()],
        grant_types: vec![GrantType::AuthorizationCode, GrantType::RefreshToken],
        scopes: scope(),
        skip_authorization: true,
        resource_uri: None,
        whole_access: false,
        requires_pushed_requests: false,
    }
}

fn scope() -> Scope {
    Scope::parse("openid email").unwrap()
}

impl Server {
    fn new() -> Self {
        let now = Timestamp::from_second(1_000_000).unwrap();
        let lifetimes = Lifetimes { grant: SignedDuration::from_secs(LONGEST), ..Lifetimes::default() };
        Self { now, lifetimes, grants: vec![], codes: vec![], refresh: vec![], access: vec![] }
    }

    fn issue(&mut self, client: i32) {
        self.grants.push(Grant { client, began_at: self.now, revoked_at: None });
        let record = CodeRecord {
            client,
            user: 10002,
            redirect_uri: URI.to_owned(),
            challenge: Verifier::parse(VERIFIER).unwrap().challenge(),
            scope: scope(),
            audience: Audience::default(),
            nonce: None,
            key: None,
            auth_time: self.now,
            expires_at: self.now + self.lifetimes.code,
            used_at: None,
            revoked_at: None,
        };
        self.codes.push((self.grants.len() - 1, record));
    }

    fn exchange(&mut self, code: usize, by: i32, verifier: &str) -> bool {
        let request = CodeExchange {
            code: Secret::presented("c"),
            redirect_uri: URI.to_owned(),
            verifier: Verifier::parse(verifier).unwrap(),
            audience: Audience::default(),
        };
        let terms = Terms { now: self.now, lifetimes: &self.lifetimes, site_url: "https://e.example" };
        let (grant, record) = &mut self.codes[code];
        record.revoked_at = self.grants[*grant].revoked_at;
        let decision = redeem_code(record, &request, &client(by), None, &terms);
        if decision.is_ok() {
            record.used_at = Some(self.now);
        }
        let grant = *grant;
        self.settle(grant, &decision)
    }

    fn refresh(&mut self, token: usize, by: i32, asked: Option<Scope>) -> bool {
        let held = &self.refresh[token];
        let Grant { client: owner, began_at, revoked_at } = self.grants[held.grant];
        let record = RefreshRecord {
            client: owner,
            user: 10002,
            scope: scope(),
            audience: Audience::default(),
            auth_time: began_at,
            expires_at: held.expires_at,
            key: None,
            rotated_at: held.ended.then_some(self.now),
            revoked_at,
        };
        let audience = Audience::default();
        let request = RefreshExchange { refresh_token: Secret::presented("r"), scope: asked, audience };
        let terms = Terms { now: self.now, lifetimes: &self.lifetimes, site_url: "https://e.example" };
        let decision = rotate_refresh(&record, &request, &client(by), None, &terms);
        let grant = held.grant;
        if decision.is_ok() {
            self.refresh[token].ended = true;
        }
        self.settle(grant, &decision)
    }

    fn settle(&mut self, grant: usize, decision: &Result<Granted, GrantError>) -> bool {
        match decision {
            Ok(granted) => {
                let token = |lifetime| Token { grant, expires_at: self.now + lifetime, ended: false };
                self.access.push(token(self.lifetimes.access));
                if granted.refresh_scope.is_some() {
                    let refresh = token(self.lifetimes.refresh);
                    self.refresh.push(Token { expires_at: refresh.expires_at.min(granted.ends_at), ..refresh });
                }
            }
            Err(error) if error.revokes_family() => self.end(grant),
            Err(_) => {}
        }
        decision.is_ok()
    }

    fn end(&mut self, grant: usize) {
        self.grants[grant].revoked_at.get_or_insert(self.now);
    }

    fn accepts(&self, token: &Token) -> bool {
        !token.ended && self.now < token.expires_at && self.grants[token.grant].revoked_at.is_none()
    }
}

/// The history of one authorization.
struct Family {
    client: i32,
    issued_at: i64,
    code_used: bool,
    /// A code or a refresh token came twice, or the refresh token was revoked, or the person ended it: nothing works any
    /// more.
    over: bool,
    /// When each refresh token was issued, and whether it was used. The tokens' places in the server's lists.
    refresh: Vec<(usize, i64, bool)>,
    access: Vec<(usize, i64, bool)>,
}

#[derive(Default)]
struct Expected {
    now: i64,
    families: Vec<Family>,
}

impl Expected {
    fn family_of(&mut self, list: impl Fn(&Family) -> &Vec<(usize, i64, bool)>, place: usize) -> (usize, usize) {
        let find = |family: &Family| list(family).iter().position(|(at, ..)| *at == place);
        self.families
            .iter()
            .enumerate()
            .find_map(|(number, family)| find(family).map(|position| (number, position)))
            .expect("every token is of a family")
    }

    fn issued(&mut self, number: usize, refresh: usize, access: usize) {
        let now = self.now;
        self.families[number].refresh.push((refresh, now, false));
        self.families[number].access.push((access, now, false));
    }
}

fn run(steps: &[Step]) -> Result<(), TestCaseError> {
    let mut server = Server::new();
    let mut expected = Expected::default();
    for step in steps {
        let (next_refresh, next_access) = (server.refresh.len(), server.access.len());
        match *step {
            Step::Wait { seconds } => {
                server.now += SignedDuration::from_secs(seconds);
                expected.now += seconds;
            }
            Step::Issue { client } => {
                server.issue(client);
                let issued_at = expected.now;
                let (refresh, access) = (vec![], vec![]);
                expected.families.push(Family { client, issued_at, code_used: false, over: false, refresh, access });
            }
            Step::Exchange { code, client, knows_verifier } if !server.codes.is_empty() => {
                let number = code % server.codes.len();
                let got = server.exchange(number, client, if knows_verifier { VERIFIER } else { OTHER_VERIFIER });
                let now = expected.now;
                let family = &mut expected.families[number];
                let own = family.client == client;
                let good = own && !family.code_used && !family.over && now - family.issued_at < 60 && knows_verifier;
                family.over |= own && family.code_used;
                family.code_used |= good;
                prop_assert_eq!(got, good, "{:?}", step);
                if good {
                    expected.issued(number, next_refresh, next_access);
                }
            }
            Step::Refresh { token, client, too_wide } if !server.refresh.is_empty() => {
                let place = token % server.refresh.len();
                let asked = too_wide.then(|| Scope::parse("openid profile").unwrap());
                let got = server.refresh(place, client, asked);
                let (number, position) = expected.family_of(|family| &family.refresh, place);
                let now = expected.now;
                let family = &mut expected.families[number];
                let own = family.client == client;
                let (_, issued_at, used) = family.refresh[position];
                let in_time = now - issued_at < 14 * 86_400 && now - family.issued_at < LONGEST;
                let good = own && !used && !family.over && in_time && !too_wide;
                family.over |= own && used;
                family.refresh[position].2 |= good;
                prop_assert_eq!(got, good, "{:?}", step);
                if good {
                    expected.issued(number, next_refresh, next_access);
                }
            }
            Step::End { family } if !server.grants.is_empty() => {
                let number = family % server.grants.len();
                server.end(number);
                expected.families[number].over = true;
            }
            Step::RevokeRefresh { token, client } if !server.refresh.is_empty() => {
                let place = token % server.refresh.len();
                let grant = server.refresh[place].grant;
                // RFC 7009 2.1: only the client that holds the token.
                if server.grants[grant].client == client {
                    server.end(grant);
                }
                let (number, _) = expected.family_of(|family| &family.refresh, place);
                expected.families[number].over |= expected.families[number].client == client;
            }
            Step::RevokeAccess { token, client } if !server.access.is_empty() => {
                let place = token % server.access.len();
                if server.grants[server.access[place].grant].client == client {
                    server.access[place].ended = true;
                }
                let (number, position) = expected.family_of(|family| &family.access, place);
                let family = &mut expected.families[number];
                family.access[position].2 |= family.client == client;
            }
            _ => {}
        }
        compare(&server, &expected)?;
    }
    Ok(())
}

/// Every token of every family, after every step.
fn compare(server: &Server, expected: &Expected) -> Result<(), TestCaseError> {
    for family in &expected.families {
        for (place, issued_at, revoked) in &family.access {
            let good = !family.over && !revoked && expected.now - issued_at < 900;
            prop_assert_eq!(server.accepts(&server.access[*place]), good, "access token {}", place);
        }
        let live = family.refresh.iter().filter(|(place, ..)| server.accepts(&server.refresh[*place])).count();
        prop_assert!(live <= 1, "of a family one refresh token is good at most");
        prop_assert!(!family.over || live == 0);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn no_token_works_that_should_not(steps in prop::collection::vec(step(), 1..60)) {
        run(&steps)?;
    }
}

#[test]
fn the_walk_reaches_what_it_is_about() {
    let refresh = |token| Step::Refresh { token, client: 0, too_wide: false };
    let steps = [
        Step::Issue { client: 0 },
        Step::Exchange { code: 0, client: 1, knows_verifier: true },
        Step::Exchange { code: 0, client: 0, knows_verifier: false },
        Step::Exchange { code: 0, client: 0, knows_verifier: true },
        refresh(0),
        Step::Wait { seconds: 900 },
        refresh(1),
        refresh(0),
        refresh(2),
    ];
    run(&steps).unwrap();
    let exchange = Step::Exchange { code: 0, client: 0, knows_verifier: true };
    run(&[Step::Issue { client: 0 }, Step::End { family: 0 }, exchange]).unwrap();
    let mut server = Server::new();
    server.issue(0);
    assert!(server.exchange(0, 0, VERIFIER) && server.refresh(0, 0, None));
    assert!(server.accepts(&server.access[1]));
    assert!(!server.refresh(0, 0, None), "a replay");
    assert!(!server.accepts(&server.access[1]) && !server.refresh(1, 0, None));
    server.issue(0);
    server.end(1);
    assert!(!server.exchange(1, 0, VERIFIER), "a grant that ended before its code was used");
}
