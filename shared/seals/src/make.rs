//! Sealing what was recorded.

use crate::{
    SEALS, SealsError, kept, list_name,
    report::{Last, Unsealed},
    seal_name,
    vault::{signer_made, vault},
};
use archive::Archive;
use audit::{
    Hash,
    comparison::LeafList,
    seal::{FORM, Head, Seal},
};
use jiff::{SignedDuration, Timestamp};
use runtime::{App, Failure};
use serde::Serialize;
use signer::Signer;
use std::mem;
use store::{Store, StoredSeal};

/// A seal covers no more events than this, but for those of one and the same microsecond: so it is checked in bounded memory.
const LARGEST: usize = 65_536;

/// How many events are read at once.
const PAGE: i64 = 4_096;

/// What is younger is left for the next seal: the clock of a database may be set back by moments, and that of another server, which
/// takes over, may be behind.
const MARGIN: SignedDuration = SignedDuration::from_secs(10);

const NOT_THE_SAME: &str =
    "The seals in the database are not those that are kept outside of it: nothing is sealed. Run `jhe audit verify`.";
const ANOTHER_KEY: &str = "The last seal was signed by another key: nothing is sealed. Run `jhe audit verify`.";

/// What was done.
#[derive(Debug, Default, Serialize)]
pub struct Made {
    /// How many seals were made.
    pub seals: u64,
    /// How many events are under them.
    pub events: u64,
    /// Whether a seal of a run that was cut off was entered into the database.
    pub adopted: bool,
    /// The last seal of all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last: Option<Last>,
    /// What is not sealed yet.
    #[serde(flatten)]
    pub unsealed: Unsealed,
}

/// Seals what was recorded until now, as far as nothing can be added to it any more.
pub async fn make(app: &App) -> Result<Made, Failure> {
    let store = app.store().await?;
    let mut maker = Maker { app, store, vault: vault(app)?, signer: signer_made(app).await?, last: None };
    let mut made = Made { adopted: maker.agree().await?, ..Made::default() };
    store.mark_audit_horizon().await?;
    if let Some(horizon) = store.audit_horizon().await? {
        maker.seal_until(before(horizon)?, &mut made).await?;
    }
    made.unsealed = Unsealed::find(store, maker.end(), app.now()).await?;
    made.last = maker.last.map(|(head, hash)| Last { sequence: head.sequence, head: hash });
    Ok(made)
}

fn before(horizon: Timestamp) -> Result<Timestamp, SealsError> {
    horizon.checked_sub(MARGIN).map_err(|_| SealsError::Setting("the database's clock", "it is not one"))
}

struct Maker<'a> {
    app: &'a App,
    store: &'a Store,
    vault: Archive,
    signer: Signer,
    /// The last seal and its hash.
    last: Option<(Head, Hash)>,
}

impl Maker<'_> {
    /// Where the last seal ends.
    fn end(&self) -> Timestamp {
        self.last.as_ref().map_or(Timestamp::UNIX_EPOCH, |(head, _)| head.to)
    }

    fn number(&self) -> i64 {
        self.last.as_ref().map_or(0, |(head, _)| head.sequence)
    }

    /// Finds the last seal. It must be the same in the database and outside of it. One that is only outside comes from a run that
    /// was cut off, and is entered: true. More than one does not.
    async fn agree(&mut self) -> Result<bool, Failure> {
        if let Some(row) = self.store.last_audit_seal().await? {
            if kept(&self.vault, row.sequence).await?.as_ref() != Some(&row.seal) {
                return Err(Failure::Conflict(NOT_THE_SAME));
            }
            let head = row.seal.open(&self.signer.public).map_err(|_| Failure::Conflict(ANOTHER_KEY))?;
            self.last = Some((head, row.seal.hash()));
        }
        let number = self.number();
        let newer = self.vault.names(SEALS, &seal_name(number)).await.map_err(SealsError::from)?;
        match newer.as_slice() {
            [] => Ok(false),
            [one] if *one == seal_name(number + 1) => self.adopt(number + 1).await.map(|()| true),
            _ => Err(Failure::Conflict(NOT_THE_SAME)),
        }
    }

    async fn adopt(&mut self, number: i64) -> Result<(), Failure> {
        let seal = kept(&self.vault, number).await?.ok_or(Failure::Conflict(NOT_THE_SAME))?;
        let head = seal.open(&self.signer.public).map_err(|_| Failure::Conflict(ANOTHER_KEY))?;
        head.follows(self.last.as_ref()).map_err(|_| Failure::Conflict(NOT_THE_SAME))?;
        self.enter(head, seal).await
    }

    async fn seal_until(&mut self, to: Timestamp, made: &mut Made) -> Result<(), Failure> {
        let mut list = LeafList::default();
        let mut after = (self.end(), i64::MIN);
        loop {
            let page = self.store.events_to_seal(after, to, PAGE).await?;
            for sealed in &page {
                let event = &sealed.event;
                if list.len() >= LARGEST
                    && event.occurred_at > after.0
                    && !self.seal(mem::take(&mut list), event.occurred_at, made).await?
                {
                    return Ok(());
                }
                list.push(event);
                after = (event.occurred_at, event.id);
            }
            if i64::try_from(page.len()).is_ok_and(|count| count < PAGE) {
                break;
            }
        }
        if !list.is_empty() {
            self.seal(list, to, made).await?;
        }
        Ok(())
    }

    /// Seals these events, which are all until a time. False: somebody else does it at this moment.
    async fn seal(&mut self, list: LeafList, to: Timestamp, made: &mut Made) -> Result<bool, Failure> {
        let tree = list.tree();
        let head = Head {
            form: FORM.to_owned(),
            sequence: self.number() + 1,
            from: self.end(),
            to,
            events: tree.size(),
            root: tree.root(),
            previous: self.last.as_ref().map(|(_, hash)| *hash),
            made_at: self.app.now(),
            key: Hash::from_bytes(self.signer.public.id()),
        };
        let signature = self.signer.sign(head.text().as_bytes()).await.map_err(SealsError::from)?;
        let seal = Seal::new(&head, &signature);
        self.vault.add(&list_name(head.sequence, &head.root), list.to_bytes()).await.map_err(SealsError::from)?;
        let bytes = serde_json::to_vec(&seal)?;
        if !self.vault.add(&seal_name(head.sequence), bytes).await.map_err(SealsError::from)? {
            return Ok(false);
        }
        made.seals += 1;
        made.events += head.events;
        self.enter(head, seal).await?;
        Ok(true)
    }

    /// Enters a seal into the database. Where it is already, another run adopted it.
    async fn enter(&mut self, head: Head, seal: Seal) -> Result<(), Failure> {
        let hash = seal.hash();
        let row = StoredSeal { sequence: head.sequence, from: head.from, to: head.to, seal };
        self.store.add_audit_seal(&row).await?;
        self.last = Some((head, hash));
        Ok(())
    }
}
