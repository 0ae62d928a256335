//! What the routes share that show the audit: their filters, their pages, and what an event looks like.

mod entry;
mod filter;
mod page;
mod resource;
mod table;

pub use entry::{ACTOR, Actor, ENTRY, Entry, NAMED};
pub use filter::{FILTERS, ORGANIZATION, filter};
pub use page::{Asked, FORMAT, MEDIA, position};
pub use resource::{resource, scope};
