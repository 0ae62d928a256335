//! How long somebody who guesses has to wait (OWASP ASVS 5.0 section 6.3.1, NIST SP 800-63B section 3.2.2).
//!
//! Failures are counted three times: for the pair of account and address, for the account from everywhere, and for the
//! address whatever the account. Each count has a schedule of growing delays. From where an account was once signed in
//! to, only the pair counts. So guessing slows down wherever it comes from, and nobody can make somebody else wait at
//! the place where they always sign in.

use crate::TokenHash;

/// After a day without a failure a count starts anew.
const FORGOTTEN_SECONDS: u32 = 24 * 3600;

/// The delays of one count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// So many failures cost nothing.
    free: u32,
    /// The delay after the next one; it doubles with each that follows.
    first_seconds: u32,
    /// No delay is longer.
    longest_seconds: u32,
}

impl Schedule {
    /// The delay after so many failures in a row.
    #[must_use]
    pub const fn delay(&self, failures: u32) -> u32 {
        if failures <= self.free {
            return 0;
        }
        let doublings = failures - self.free - 1;
        if doublings >= 16 {
            return self.longest_seconds;
        }
        let delay = self.first_seconds.saturating_mul(1 << doublings);
        if delay < self.longest_seconds { delay } else { self.longest_seconds }
    }

    /// What is left of the delay.
    fn wait(&self, tally: &Tally) -> u32 {
        match tally.seconds_since {
            Some(passed) if passed < FORGOTTEN_SECONDS => self.delay(tally.failures).saturating_sub(passed),
            _ => 0,
        }
    }
}

/// One count, as stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Failures in a row.
    pub failures: u32,
    /// Seconds since the last one.
    pub seconds_since: Option<u32>,
    /// Whether there was a success under this key.
    pub succeeded: bool,
}

impl Tally {
    /// The failures after one more.
    #[must_use]
    pub const fn next(&self) -> u32 {
        match self.seconds_since {
            Some(passed) if passed < FORGOTTEN_SECONDS => self.failures.saturating_add(1),
            _ => 1,
        }
    }
}

/// The three counts of an attempt, in the order of [`Keys`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tallies {
    /// Of the account and the address.
    pub pair: Tally,
    /// Of the account.
    pub account: Tally,
    /// Of the address.
    pub address: Tally,
}

/// What is guessed, and how fast that may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    name: &'static str,
    /// With so many failures in a row on an account its owner is told, if ever.
    tell_at: Option<u32>,
    pair: Schedule,
    account: Schedule,
    address: Schedule,
}

impl Policy {
    /// A password. Many addresses together may try one account about 1,500 times a day, against passwords of twelve
    /// characters that are not in the lists.
    pub const PASSWORD: Self = Self {
        name: "password",
        tell_at: Some(10),
        pair: Schedule { free: 5, first_seconds: 5, longest_seconds: 900 },
        account: Schedule { free: 50, first_seconds: 1, longest_seconds: 60 },
        address: Schedule { free: 100, first_seconds: 1, longest_seconds: 300 },
    };

    /// A code of six digits, by somebody who has the password: fewer than 200 times a day, each with a chance of three in
    /// a million.
    pub const SECOND_FACTOR: Self = Self {
        name: "second-factor",
        tell_at: Some(5),
        pair: Schedule { free: 5, first_seconds: 10, longest_seconds: 900 },
        account: Schedule { free: 10, first_seconds: 10, longest_seconds: 900 },
        address: Schedule { free: 50, first_seconds: 1, longest_seconds: 300 },
    };

    /// A sign-in with a passkey, by nobody in particular: `account` is the network too. There is nothing to guess; this
    /// bounds how many challenges one network can have made.
    pub const PASSKEY: Self = Self {
        name: "passkey",
        tell_at: None,
        pair: Schedule { free: 50, first_seconds: 5, longest_seconds: 300 },
        account: Schedule { free: 50, first_seconds: 5, longest_seconds: 300 },
        address: Schedule { free: 50, first_seconds: 5, longest_seconds: 300 },
    };

    /// A form that sends e-mail to an address that anybody can type. Every request that counts is answered with an
    /// e-mail, so who asks for somebody else keeps nothing from them.
    pub const MAIL: Self = Self {
        name: "mail",
        tell_at: None,
        pair: Schedule { free: 3, first_seconds: 60, longest_seconds: 3600 },
        account: Schedule { free: 5, first_seconds: 60, longest_seconds: 3600 },
        address: Schedule { free: 50, first_seconds: 1, longest_seconds: 300 },
    };

    /// Authorization requests that lead nowhere, because the client or its redirect URI is not known: `account` is what is
    /// known of the client. They are refused at any rate; this bounds how many of them are recorded.
    pub const MISDIRECTED: Self = Self {
        name: "misdirected",
        tell_at: None,
        pair: Schedule { free: 20, first_seconds: 60, longest_seconds: 3600 },
        account: Schedule { free: 500, first_seconds: 1, longest_seconds: 60 },
        address: Schedule { free: 50, first_seconds: 60, longest_seconds: 3600 },
    };

    /// Whether the owner of an account is told of a failure, the so-manieth in a row: once for each row.
    #[must_use]
    pub fn tells(&self, on_account: u32) -> bool {
        self.tell_at == Some(on_account)
    }

    /// The keys under which an attempt on `account` from `address` is counted. The account need not exist.
    #[must_use]
    pub fn keys(&self, account: &str, address: &str) -> Keys {
        // Neither part can hold a line break, so no two pairs give the same text.
        let key = |kind: &str, what: &str| TokenHash::of(&format!("{}\n{kind}\n{what}", self.name));
        Keys {
            pair: key("pair", &format!("{account}\n{address}")),
            account: key("account", account),
            address: key("address", address),
        }
    }

    /// The seconds to wait before the next attempt; none when it may be made now.
    #[must_use]
    pub fn wait(&self, tallies: &Tallies) -> Option<u32> {
        let own = self.pair.wait(&tallies.pair);
        let wait = if tallies.pair.succeeded {
            own
        } else {
            own.max(self.account.wait(&tallies.account)).max(self.address.wait(&tallies.address))
        };
        (wait > 0).then_some(wait)
    }
}

/// The keys of the three counts.
#[derive(Clone, Copy, Debug)]
pub struct Keys {
    /// Of the account and the address.
    pub pair: TokenHash,
    /// Of the account.
    pub account: TokenHash,
    /// Of the address.
    pub address: TokenHash,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn tally(failures: u32, seconds: u32) -> Tally {
        Tally { failures, seconds_since: Some(seconds), succeeded: false }
    }

    #[test]
    fn delays_double_up_to_the_longest() {
        let schedule = Schedule { free: 5, first_seconds: 5, longest_seconds: 900 };
        for (failures, delay) in
            [(0, 0), (5, 0), (6, 5), (7, 10), (8, 20), (12, 320), (13, 640), (14, 900), (60, 900), (u32::MAX, 900)]
        {
            assert_eq!(schedule.delay(failures), delay, "{failures}");
        }
    }

    #[test]
    fn the_delay_counts_from_the_last_failure_and_ends() {
        let wait = |pair| Policy::PASSWORD.wait(&Tallies { pair, ..Tallies::default() });
        assert_eq!(wait(tally(7, 0)), Some(10));
        assert_eq!(wait(tally(7, 9)), Some(1));
        assert_eq!(wait(tally(7, 10)), None);
        assert_eq!(wait(tally(1000, FORGOTTEN_SECONDS)), None);
        assert_eq!(wait(Tally::default()), None);
    }

    #[test]
    fn where_an_account_was_signed_in_to_others_do_not_count() {
        let busy = Tallies { pair: Tally::default(), account: tally(500, 0), address: tally(500, 0) };
        assert_eq!(Policy::PASSWORD.wait(&busy), Some(300));
        let known = Tally { succeeded: true, ..Tally::default() };
        assert_eq!(Policy::PASSWORD.wait(&Tallies { pair: known, ..busy }), None);
        let own = Tally { succeeded: true, ..tally(7, 0) };
        assert_eq!(Policy::PASSWORD.wait(&Tallies { pair: own, ..busy }), Some(10), "its own failures do");
    }

    #[test]
    fn a_count_starts_anew_after_a_day() {
        assert_eq!(tally(7, 10).next(), 8);
        assert_eq!(tally(7, FORGOTTEN_SECONDS).next(), 1);
        assert_eq!(Tally::default().next(), 1);
        assert_eq!(tally(u32::MAX, 0).next(), u32::MAX);
    }

    // ASVS 6.3.5
    #[test]
    fn an_owner_is_told_once_of_a_row_of_failures() {
        let told = |policy: Policy| (0..1000).filter(|failures| policy.tells(*failures)).collect::<Vec<_>>();
        assert_eq!(told(Policy::PASSWORD), [10]);
        assert_eq!(told(Policy::SECOND_FACTOR), [5]);
        assert_eq!(told(Policy::PASSKEY), [0; 0]);
        assert_eq!(told(Policy::MAIL), [0; 0]);
        assert_eq!(told(Policy::MISDIRECTED), [0; 0]);
    }

    #[test]
    fn every_policy_lets_everybody_in_again() {
        for policy in [Policy::PASSWORD, Policy::SECOND_FACTOR, Policy::PASSKEY, Policy::MAIL, Policy::MISDIRECTED] {
            let worst = tally(u32::MAX, 0);
            let wait = policy.wait(&Tallies { pair: worst, account: worst, address: worst }).unwrap();
            assert!(wait <= 3600, "{policy:?}");
        }
    }

    #[test]
    fn keys_are_of_their_policy_their_account_and_their_address() {
        let keys = |policy: Policy| policy.keys("a@example.com", "192.0.2.1");
        let all = [keys(Policy::PASSWORD), keys(Policy::MAIL), Policy::PASSWORD.keys("b@example.com", "192.0.2.1")];
        let hashes: Vec<_> = all.iter().flat_map(|keys| [keys.pair, keys.account, keys.address]).collect();
        let equal = (0..hashes.len())
            .flat_map(|a| (0..a).map(move |b| (a, b)))
            .filter(|(a, b)| hashes[*a] == hashes[*b])
            .count();
        assert_eq!(equal, 1, "only the same address under the same policy");
    }

    proptest! {
        #[test]
        fn waiting_never_grows_while_time_passes(failures in 0_u32..80, seconds in 0_u32..4000, more in 0_u32..4000) {
            let wait = |seconds| Policy::PASSWORD.wait(&Tallies { pair: tally(failures, seconds), ..Tallies::default() });
            prop_assert!(wait(seconds + more).unwrap_or(0) <= wait(seconds).unwrap_or(0));
        }
    }
}
