//! Observations: search, read, upload.

mod create;
mod list;
mod query;
mod read;
mod search;
mod statement;

pub use create::{NewObservation, Stored, UploadVerdict, WhenRevoked};
pub use list::{NamedObservation, NamedObservationPage};
pub use query::{CodeFilter, Filter, ObservationQuery, Order, PageSize, Reader};
pub use read::ReadOutcome;
pub use search::{Found, ObservationPage};
