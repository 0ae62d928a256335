//! Observations: search, read, upload.

mod create;
mod query;
mod read;
mod search;
mod statement;

pub use create::{NewObservation, Stored, UploadVerdict, WhenRevoked};
pub use query::{CodeFilter, Filter, ObservationQuery, Order, PageSize, Reader};
pub use read::ReadOutcome;
pub use search::{Found, ObservationPage};
