//! The keys that sign `id_token`s move up: the next becomes the current one, the current the previous one, and a new next
//! one is made. Called by a schedule once a day; the keys move up when they are due (`SIGNING_KEY_DAYS`), or when the caller
//! asks with `{"now": true}`, and never before every token would still find its key (`oauth::ring`). The first call makes
//! the first keys.
//!
//! A rotation is recorded before it is done: what cannot be recorded is not done. Keys in KMS that nothing needs any more
//! are ended, each with its record.

use audit::{Action, RefusedBy, Target};
use jiff::Timestamp;
use oauth::ring::Turn;
use runtime::{App, Failure, Needs, Occasion, Scheduled};
use serde_json::{Value, json};
use signing_keys::rotation::{Present, Rotator};

/// The function.
pub const FUNCTION: Scheduled = Scheduled::new(
    "oauth-rotate-keys",
    "rotate-keys",
    "let the next signing key take over if it is time; --now: before that",
    Needs::Database,
    |app, occasion| Box::pin(handle(app, occasion)),
)
.taking(&["now"]);

/// What the audit calls the keys.
const RESOURCE: &str = "SigningKeys";

async fn handle(app: &App, occasion: &Occasion) -> Result<Value, Failure> {
    let rotator = Rotator::of(app)?;
    let now = app.now();
    let outcome = match rotator.present().await? {
        None => first(app, occasion, &rotator, now).await?,
        Some(present) => turn(app, occasion, &rotator, present, now).await?,
    };
    let ended = end_leftovers(app, occasion, &rotator, now).await?;
    let kids: Vec<String> = match rotator.present().await? {
        Some(present) => present.key_ids().map(str::to_owned).collect(),
        None => Vec::new(),
    };
    let mut report = json!({ "outcome": outcome.name(), "keys": kids, "ended": ended });
    if let (Outcome::NotDue(at), Some(report)) = (outcome, report.as_object_mut()) {
        report.insert("due".to_owned(), json!(at));
    }
    Ok(report)
}

/// What was done.
#[derive(Clone, Copy)]
enum Outcome {
    /// The first keys were made.
    Made,
    /// The keys moved up.
    Rotated,
    /// They will at this time.
    NotDue(Timestamp),
    /// Another run did it.
    DoneElsewhere,
}

impl Outcome {
    const fn name(self) -> &'static str {
        match self {
            Self::Made => "made",
            Self::Rotated => "rotated",
            Self::NotDue(_) => "not due",
            Self::DoneElsewhere => "done elsewhere",
        }
    }
}

async fn first(app: &App, occasion: &Occasion, rotator: &Rotator<'_>, now: Timestamp) -> Result<Outcome, Failure> {
    app.store().await?.record(&occasion.audit(Action::Create, RESOURCE)).await?;
    Ok(if rotator.begin(now).await? { Outcome::Made } else { Outcome::DoneElsewhere })
}

async fn turn(
    app: &App,
    occasion: &Occasion,
    rotator: &Rotator<'_>,
    present: Present,
    now: Timestamp,
) -> Result<Outcome, Failure> {
    let context = occasion.audit(Action::Update, RESOURCE);
    match rotator.turn(&present, occasion.asks("now"), now) {
        Turn::NotDue(at) => Ok(Outcome::NotDue(at)),
        Turn::TooEarly(_) => {
            app.store().await?.record_refusal(&context, &Target::nothing(), RefusedBy::Invalid).await?;
            Err(Failure::Conflict("The keys moved up a short while ago: tokens and caches need those that are there."))
        }
        Turn::Rotate => {
            app.store().await?.record(&context).await?;
            Ok(if rotator.rotate(present, now).await? { Outcome::Rotated } else { Outcome::DoneElsewhere })
        }
    }
}

/// Ends what no ring names any more. The ring is read again: it may be another run's.
async fn end_leftovers(
    app: &App,
    occasion: &Occasion,
    rotator: &Rotator<'_>,
    now: Timestamp,
) -> Result<usize, Failure> {
    let Some(present) = rotator.present().await? else { return Ok(0) };
    let leftovers = rotator.leftovers(&present, now).await?;
    for leftover in &leftovers {
        app.store().await?.record(&occasion.audit(Action::Delete, RESOURCE)).await?;
        rotator.end(leftover).await?;
    }
    Ok(leftovers.len())
}
