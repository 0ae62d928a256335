//! Exports of studies: where their files are, and what a line of one is. Tables of them are made when they are downloaded (`tables`).

mod caller;
mod gather;

pub use caller::{Caller, job};
pub use gather::{Gathered, Lines, MOST_BYTES};

use archive::{Archive, ArchiveError};
use runtime::{App, Failure, SetupError};
use std::sync::Arc;
use store::ConfigError;

/// The setting that says where the files are: a directory, or `s3://BUCKET/PREFIX`.
pub const PLACE: &str = "EXPORTS";

/// The setting of how long an export is there, in seconds.
pub const SECONDS: &str = "EXPORT_SECONDS";

/// The directory of the files beside a host's secrets. They are encrypted.
const DIRECTORY: &str = "exports";

/// How long an export is there by default.
const DAY: u32 = 24 * 60 * 60;

/// The longest that it can be.
const WEEK: u32 = 7 * DAY;

/// Where the files are: as the environment says, or else beside the host's own secrets. None where there is neither.
pub fn files(app: &App) -> Result<Option<Arc<Files>>, Failure> {
    let named = app.variable(PLACE).filter(|place| !place.is_empty());
    let beside = || app.secret_directory().and_then(|directory| directory.join(DIRECTORY).to_str().map(str::to_owned));
    let Some(place) = named.or_else(beside) else { return Ok(None) };
    app.part(|| Archive::open(&place, app.variables()).map(Files)).map(Some).map_err(unavailable)
}

/// The files of this process, under a type of their own: others have archives for something else.
#[derive(Debug)]
pub struct Files(pub Archive);

/// For how many seconds an export is there.
pub fn seconds(app: &App) -> Result<u32, Failure> {
    let Some(text) = app.variable(SECONDS).filter(|text| !text.is_empty()) else { return Ok(DAY) };
    let set = text.parse().ok().filter(|seconds| (60..=WEEK).contains(seconds));
    Ok(set.ok_or(SetupError::Config(ConfigError::Invalid(SECONDS, "use 60 to 604800 seconds")))?)
}

/// The archive cannot be used: the caller tries again.
#[must_use]
pub fn unavailable(error: ArchiveError) -> Failure {
    Failure::Unavailable(Box::new(error))
}
