//! `Bundle` (<https://hl7.org/fhir/R5/bundle.html>): pages of a search, and batches.

mod history;
mod request;
mod response;
mod searchset;

pub use history::HistoryBundle;
pub use request::{BatchKind, BatchRequest, Entry, MAX_ENTRIES};
pub use response::{BatchResponse, status_line};
pub use searchset::{Searchset, count_only};
