//! Checking what was sealed: every seal against the one before, its signature and the database, and every event against its seal.

use crate::{
    Report, SEALS, SealsError, kept, list,
    report::{Last, Unsealed},
    seal_name,
    vault::{signer, vault},
};
use archive::Archive;
use audit::{
    Hash,
    comparison::{Comparison, Difference, LeafList},
    merkle::Tree,
    seal::{Fault, Head, Seal},
};
use ecdsa::PublicKey;
use futures_util::stream::{self, StreamExt as _};
use jiff::{SignedDuration, Timestamp, civil::Date, tz::TimeZone};
use runtime::{App, Failure, Occasion};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};
use store::{AuditGap, Change, Store, StoredSeal};

/// How many seals, and how many events, are read at once.
const SEALS_AT_ONCE: i64 = 512;
const EVENTS_AT_ONCE: i64 = 4_096;

/// How many requests for seals are on their way.
const AT_A_TIME: usize = 16;

/// How often, and how long from one time to the next, it is looked whether a seal that was just kept has been entered.
const LOOKS: usize = 20;
const PAUSE: Duration = Duration::from_millis(250);

/// When the oldest event without a seal is older, sealing has stopped.
const LATE: SignedDuration = SignedDuration::from_hours(6);

/// What is checked.
#[derive(Clone, Copy, Debug, Default)]
pub struct Extent {
    /// Events before this time are not hashed again. The seals are checked all the same.
    pub since: Option<Timestamp>,
    /// The hash of a head that has to be among the seals: of the last one, as an earlier report said. So seals that were removed
    /// from the end, here and there, are missed.
    pub head: Option<Hash>,
}

impl Extent {
    /// As the caller asks: `since` is a date, a time or a number of days until now; `head` is a hash.
    pub fn of(occasion: &Occasion, now: Timestamp) -> Result<Self, Failure> {
        let invalid = |text: &str| Failure::Invalid(text.to_owned());
        let since = occasion
            .text("since")
            .map(|text| time(text, now).ok_or_else(|| invalid("since: use a date, a time or a number of days")));
        let head =
            occasion.text("head").map(|text| text.parse().map_err(|_| invalid("head: use 64 hexadecimal digits")));
        Ok(Self { since: since.transpose()?, head: head.transpose()? })
    }
}

fn time(text: &str, now: Timestamp) -> Option<Timestamp> {
    if let Ok(days) = text.parse::<u16>() {
        return now.checked_sub(SignedDuration::from_hours(i64::from(days) * 24)).ok();
    }
    let date = || text.parse::<Date>().ok()?.to_zoned(TimeZone::UTC).ok();
    text.parse().ok().or_else(|| date().map(|date| date.timestamp()))
}

/// Checks the seals and what is under them.
pub async fn check(app: &App, extent: &Extent) -> Result<Report, Failure> {
    checked(app, app.store().await?, extent, None).await
}

/// Checks a copy of the database as it was at some time: every seal that it has, and what is under them. That there are later
/// seals, and that nothing seals what came after its last one, is no finding.
pub async fn check_copy(app: &App, copy: &Store) -> Result<Report, Failure> {
    let last = copy.last_audit_seal().await?.map_or(0, |row| row.sequence);
    checked(app, copy, &Extent::default(), Some(last)).await
}

async fn checked(app: &App, store: &Store, extent: &Extent, until: Option<i64>) -> Result<Report, Failure> {
    let vault = vault(app)?;
    let (before, report) = (Before::Nothing, Report::default());
    let mut walk = Walk {
        app,
        vault: &vault,
        store,
        key: None,
        extent,
        until,
        before,
        next: 1,
        newest: 0,
        is_there: false,
        report,
    };
    walk.parts().await?;
    walk.all().await?;
    walk.rest(app.now()).await?;
    Ok(walk.report)
}

/// What is known of the seal before.
enum Before {
    /// There is none.
    Nothing,
    /// It is this one, with its hash.
    Seal(Box<(Head, Hash)>),
    /// It is missing, or not good.
    Unknown,
}

struct Walk<'a> {
    app: &'a App,
    vault: &'a Archive,
    store: &'a Store,
    key: Option<PublicKey>,
    extent: &'a Extent,
    /// Of a copy, the number of its last seal. What came later is nothing to it.
    until: Option<i64>,
    before: Before,
    /// The number of the next seal.
    next: i64,
    /// The number of the last seal that was kept when the walk began.
    newest: i64,
    /// Whether the head that was asked for is there.
    is_there: bool,
    report: Report,
}

impl Walk<'_> {
    /// Whether a part of the audit is missing.
    async fn parts(&mut self) -> Result<(), Failure> {
        for AuditGap { table, from, to } in self.store.audit_gaps().await? {
            self.report.add(None, None, format!("{table} has no part from {from} to {to}: it was detached or dropped"));
        }
        Ok(())
    }

    async fn all(&mut self) -> Result<(), Failure> {
        let outside: BTreeSet<i64> = self
            .vault
            .names(SEALS, "")
            .await
            .map_err(SealsError::from)?
            .iter()
            .filter_map(|name| number(name))
            .filter(|number| self.until.is_none_or(|until| *number <= until))
            .collect();
        self.newest = outside.last().copied().unwrap_or_default();
        // The first sealing makes the key, before it keeps a seal.
        self.key = signer(self.app).await?.map(|signer| signer.public);
        let mut after = 0;
        loop {
            let rows = self.store.audit_seals(after, SEALS_AT_ONCE).await?;
            let is_last = i64::try_from(rows.len()).is_ok_and(|count| count < SEALS_AT_ONCE);
            let end = rows.last().filter(|_| !is_last).map_or(i64::MAX, |row| row.sequence);
            let mut rows: BTreeMap<i64, StoredSeal> = rows.into_iter().map(|row| (row.sequence, row)).collect();
            let numbers: BTreeSet<i64> = outside.range(after + 1..=end).chain(rows.keys()).copied().collect();
            let vault = self.vault;
            let seals = stream::iter(numbers).map(|number| async move { (number, kept(vault, number).await) });
            let mut seals = seals.buffered(AT_A_TIME);
            while let Some((number, seal)) = seals.next().await {
                self.step(number, rows.remove(&number), seal?).await?;
            }
            if is_last {
                return Ok(());
            }
            after = end;
        }
    }

    /// The next seal, as the database has it and as the vault has it.
    async fn step(&mut self, number: i64, row: Option<StoredSeal>, kept: Option<Seal>) -> Result<(), Failure> {
        if number > self.next {
            self.report.add_seals(self.next..number, "it is missing in the database and outside of it");
            self.before = Before::Unknown;
        }
        self.next = number.saturating_add(1);
        self.report.seals += 1;
        let row = if row.is_none() { self.entered_since(number).await? } else { row };
        self.compare(number, row.as_ref(), kept.as_ref());
        let Some((head, hash)) = self.opened(number, row.as_ref(), kept.as_ref()) else {
            self.before = Before::Unknown;
            return Ok(());
        };
        if row.is_some_and(|row| (row.from, row.to) != (head.from, head.to)) {
            self.report.add(Some(number), None, "the database has other times for it");
        }
        let follows = match &self.before {
            Before::Nothing => head.follows(None),
            Before::Seal(before) => head.follows(Some(before)),
            Before::Unknown => Ok(()),
        };
        if let Err(fault) = follows {
            self.report.add(Some(number), None, fault.to_string());
        }
        self.report.last = Some(Last { sequence: number, head: hash });
        if self.extent.since.is_none_or(|since| head.to > since) {
            self.events(&head).await?;
        }
        self.before = Before::Seal(Box::new((head, hash)));
        Ok(())
    }

    /// A seal is entered into the database after it was kept: one that is being made, which is the newest, is not there yet, and
    /// will be in a moment.
    async fn entered_since(&self, number: i64) -> Result<Option<StoredSeal>, Failure> {
        let looks = if number >= self.newest { LOOKS } else { 1 };
        for _ in 1..looks {
            let row = self.entered(number).await?;
            if row.is_some() {
                return Ok(row);
            }
            tokio::time::sleep(PAUSE).await;
        }
        self.entered(number).await
    }

    /// A seal as the database has it now.
    async fn entered(&self, number: i64) -> Result<Option<StoredSeal>, Failure> {
        let rows = self.store.audit_seals(number.saturating_sub(1), 1).await?;
        Ok(rows.into_iter().find(|row| row.sequence == number))
    }

    /// What the database has of a seal against what is outside of it.
    fn compare(&mut self, number: i64, row: Option<&StoredSeal>, kept: Option<&Seal>) {
        let what = match (row.map(|row| &row.seal), kept) {
            (Some(row), Some(kept)) if row == kept => return,
            (Some(_), Some(_)) => "the database has another one than is kept outside of it",
            (Some(_), None) => "it is missing outside of the database, or not readable there",
            (None, _) => "it is missing in the database",
        };
        self.report.add(Some(number), None, what);
    }

    /// The head that the key signed, with its hash: what is outside of the database is believed first.
    fn opened(&mut self, number: i64, row: Option<&StoredSeal>, kept: Option<&Seal>) -> Option<(Head, Hash)> {
        let mut fault = Fault::Signature;
        for seal in kept.into_iter().chain(row.map(|row| &row.seal)) {
            match self.key.as_ref().ok_or(Fault::Signature).and_then(|key| seal.open(key)) {
                Ok(head) if head.sequence == number => {
                    let hash = seal.hash();
                    self.is_there |= self.extent.head == Some(hash);
                    return Some((head, hash));
                }
                Ok(_) => fault = Fault::Number,
                Err(other) => fault = other,
            }
        }
        self.report.add(Some(number), None, fault.to_string());
        None
    }

    /// The events under a seal, hashed again.
    async fn events(&mut self, head: &Head) -> Result<(), Failure> {
        let list = list(self.vault, head).await?;
        if list.is_none() {
            self.report.add(
                Some(head.sequence),
                None,
                "the list of its events is missing, or not the one that was sealed",
            );
        }
        let mut comparison = Comparison::with(list.as_ref().unwrap_or(&LeafList::default()));
        let mut tree = Tree::default();
        let mut after = (head.from, i64::MIN);
        loop {
            let page = self.store.events_to_seal(after, head.to, EVENTS_AT_ONCE).await?;
            for sealed in &page {
                comparison.see(&sealed.event);
                tree.push(sealed.event.hash());
                self.change(head, sealed.event.id, sealed.change);
                after = (sealed.event.occurred_at, sealed.event.id);
            }
            if i64::try_from(page.len()).is_ok_and(|count| count < EVENTS_AT_ONCE) {
                break;
            }
        }
        self.astray(Some(head.sequence), (Some(head.from), Some(head.to))).await?;
        self.report.events += tree.size();
        if list.is_some() {
            self.differences(head.sequence, comparison);
        }
        if (tree.size(), tree.root()) != (head.events, head.root) {
            self.report.add(Some(head.sequence), None, Fault::Root.to_string());
        }
        Ok(())
    }

    /// What an event says of its change, against what is kept of that.
    fn change(&mut self, head: &Head, event: i64, change: Change) {
        match change {
            Change::None | Change::Kept => {}
            Change::Missing => {
                self.report.add(Some(head.sequence), Some(event), "what it changed is not there any more");
            }
            Change::Other => {
                self.report.add(Some(head.sequence), Some(event), "what it changed is not what was recorded of it");
            }
        }
    }

    /// Changes of a time that are of no event.
    async fn astray(
        &mut self,
        seal: Option<i64>,
        (from, to): (Option<Timestamp>, Option<Timestamp>),
    ) -> Result<(), Failure> {
        for event in self.store.changes_astray(from, to, EVENTS_AT_ONCE).await? {
            self.report.add(seal, Some(event), "a change is said to be its that is not");
        }
        Ok(())
    }

    fn differences(&mut self, seal: i64, comparison: Comparison) {
        for difference in comparison.end() {
            let (event, what) = match difference {
                Difference::Inserted(event) => (event, "it was inserted after the seal"),
                Difference::Changed(event) => (event, "it was changed after the seal"),
                Difference::Deleted(event) => (event, "it was deleted after the seal"),
            };
            self.report.add(Some(seal), Some(event), what);
        }
    }

    /// What no seal covers, and what was asked for and is not there.
    async fn rest(&mut self, now: Timestamp) -> Result<(), Failure> {
        if self.extent.head.is_some() && !self.is_there {
            self.report.add(None, None, "the seal with the head that was asked for is not there");
        }
        for event in self.store.events_before(Timestamp::UNIX_EPOCH, EVENTS_AT_ONCE).await? {
            self.report.add(None, Some(event), "its time is before that of every seal");
        }
        for event in self.store.events_to_come(EVENTS_AT_ONCE).await? {
            self.report.add(None, Some(event), "its time is yet to come");
        }
        let end = match &self.before {
            Before::Seal(last) => last.0.to,
            Before::Nothing | Before::Unknown => {
                self.store.last_audit_seal().await?.map_or(Timestamp::UNIX_EPOCH, |row| row.to)
            }
        };
        self.astray(None, (None, Some(Timestamp::UNIX_EPOCH))).await?;
        self.astray(None, (Some(end), None)).await?;
        self.report.unsealed = Unsealed::find(self.store, end, now).await?;
        if self.until.is_none() && self.report.unsealed.seal_lag_seconds > LATE.as_secs() {
            self.report.add(
                None,
                None,
                "events that are older than six hours are not sealed: `audit-seal` does not run, or fails",
            );
        }
        Ok(())
    }
}

/// The number of a seal by its name.
fn number(name: &str) -> Option<i64> {
    let number = name.strip_prefix(SEALS)?.strip_prefix('/')?.strip_suffix(".json")?.parse().ok()?;
    (seal_name(number) == name).then_some(number)
}
