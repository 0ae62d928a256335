//! Observations: search, read, upload.

mod amend;
pub(crate) mod create;
mod history;
mod insert;
pub(crate) mod lanes;
mod list;
pub(crate) mod query;
pub(crate) mod read;
mod search;
mod statement;

pub use amend::{Amended, Amendment};
pub use create::{NewObservation, Stored, UploadVerdict, WhenRevoked};
pub use history::{History, HistoryQuery};
pub use list::{NamedObservation, NamedObservationPage};
pub use query::{BroughtBy, CodeFilter, Filter, ObservationQuery, Order, PageSize, Reader};
pub use read::ReadOutcome;
pub use search::{Found, ObservationPage};
