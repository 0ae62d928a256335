//! What the routes share that show the audit: their filters, their pages, and what an event looks like.

mod entry;
mod filter;
mod own;
mod page;
mod resource;
mod table;

pub use entry::{ACTIONS, ACTOR, ACTOR_TYPE, Actor, ENTRY, Entry, NAMED, OUTCOMES, ROLE};
pub use filter::{EVERYTHING, FILTERS, filter};
pub use own::{OWN_ENTRY, OwnEntry};
pub use page::{Asked, FORMAT, MEDIA, position};
pub use resource::{resource, scope};
pub use table::csv;
