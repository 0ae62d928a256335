//! Exports of studies: asked for, carried out page by page, and read file by file.
//!
//! What is read for an export is read by [`Store::everything`], which judges and records it. What is in a file is judged again when it is
//! downloaded ([`Store::read_export_file`]).

mod mend;
mod read;
mod run;
mod start;

pub use mend::TornFile;
pub use read::{ExportedFile, ExportedPart};
pub use run::{ExportCursor, ExportFile, ExportJob, ExportPart, ExportTidied, SealedFile};
pub use start::{ExportListed, ExportOf, ExportStart, ExportState, ExportStatus, NewExport};
