//! Tests of the FHIR crate, one module per subject.

#[cfg(test)]
mod attachments;
#[cfg(test)]
mod bundles;
#[cfg(test)]
mod capability;
#[cfg(test)]
mod content;
#[cfg(test)]
mod cursors;
#[cfg(test)]
mod dates;
#[cfg(test)]
mod elements;
#[cfg(test)]
mod hostile;
#[cfg(test)]
mod outcomes;
#[cfg(test)]
mod pages;
#[cfg(test)]
mod people;
#[cfg(test)]
mod r4;
#[cfg(test)]
mod resources;
#[cfg(test)]
mod search;
#[cfg(test)]
mod submission;
#[cfg(test)]
mod support;
