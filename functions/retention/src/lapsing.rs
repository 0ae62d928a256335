//! What lapses, how long it is kept after its end, and why.

use jiff::SignedDuration;

/// A kind of row that lapses. What its end is, is in the database (`retention_kind`): no more can be deleted than that.
#[derive(Clone, Copy, Debug)]
pub struct Kind {
    /// Its name there.
    pub name: &'static str,
    /// How long it is kept after its end.
    pub kept: SignedDuration,
    /// Why so long.
    pub why: &'static str,
}

const HOUR: SignedDuration = SignedDuration::from_hours(1);

const fn days(days: i64) -> SignedDuration {
    SignedDuration::from_hours(24 * days)
}

const fn kind(name: &'static str, kept: SignedDuration, why: &'static str) -> Kind {
    Kind { name, kept, why }
}

/// Every kind, in the order in which they are deleted: a grant takes its codes with it, and an invitation stays as long as its code.
pub const KINDS: [Kind; 19] = [
    kind("session", days(1), "nothing asks for it"),
    kind("challenge", HOUR, "nothing asks for it"),
    kind("email_code", HOUR, "nothing asks for it"),
    kind("passkey_challenge", HOUR, "nothing asks for it"),
    kind("link", days(30), "nothing asks for it; support may"),
    kind("failed_attempts", days(2), "a count is forgotten after a day"),
    kind("known_place", days(400), "who signs in once a year is known there, and waits for nobody else's failures"),
    kind("used_message", days(1), "no clock that is a little off takes the message again"),
    kind("used_assertion", days(1), "no clock that is a little off takes the assertion again"),
    kind("used_proof", days(1), "no clock that is a little off takes the proof again"),
    kind("pushed_request", HOUR, "nothing asks for it"),
    kind("rate", HOUR, "nothing is spent any more"),
    kind("repeatable_request", days(2), "a request is repeated within a day"),
    kind("access_token", days(1), "nothing takes it; its revocation is still on record under its owner"),
    kind("grant", days(30), "a replay of its codes and refresh tokens is known as one while anything of it works"),
    kind("invitation", days(400), "coordinators and patients see who was invited, by whom, and what came of it"),
    kind("import", days(400), "who imported sees what came of it"),
    kind("backup_run", days(800), "two years of evidence; the last of each kind stays"),
    kind("retention_run", days(800), "two years of evidence"),
];
