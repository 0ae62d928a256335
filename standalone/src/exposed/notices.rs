//! The notices that the law asks for after a breach, filled in from what the audit says: 45 CFR 164.404 to 164.410, and the
//! General Data Protection Regulation, articles 33 and 34. What only people know stands in square brackets.
//!
//! One file each, that nobody else can read. A file that is there already is left alone: somebody may have worked on it.

use super::{Affected, Total};
use jiff::Timestamp;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};
use store::{ExposureQuery, Named};

const LETTER: &str = include_str!("../../../docs/incident-response/letter-to-a-patient.txt");
const HHS: &str = include_str!("../../../docs/incident-response/notice-to-hhs.txt");
const AUTHORITY: &str = include_str!("../../../docs/incident-response/notice-to-a-supervisory-authority.txt");
const CONTROLLER: &str = include_str!("../../../docs/incident-response/notice-to-a-controller.txt");

/// What of an organization's patients was shown.
#[derive(Clone, Debug)]
struct Share {
    first: Timestamp,
    last: Timestamp,
    patients: BTreeSet<i32>,
    observations: u64,
}

/// The notices of one incident.
pub struct Notices {
    directory: PathBuf,
    from: Timestamp,
    to: Timestamp,
    span: Option<(Timestamp, Timestamp)>,
    kinds: BTreeSet<String>,
    shares: BTreeMap<i32, Share>,
}

impl Notices {
    /// Makes the directory, unless it is there.
    pub fn begin(directory: &Path, query: &ExposureQuery) -> io::Result<Self> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
        let (from, to) = (query.from, query.to);
        let directory = directory.to_owned();
        Ok(Self { directory, from, to, span: None, kinds: BTreeSet::new(), shares: BTreeMap::new() })
    }

    /// Writes the letter to a patient.
    pub fn patient(&mut self, affected: &Affected) -> io::Result<()> {
        let kinds = kinds(affected);
        let (first, last) = self.span.unwrap_or((affected.first, affected.last));
        self.span = Some((first.min(affected.first), last.max(affected.last)));
        self.kinds.extend(kinds.iter().cloned());
        for (organization, concern) in &affected.organizations {
            let share = self.shares.entry(*organization).or_insert_with(|| Share {
                first: concern.first,
                last: concern.last,
                patients: BTreeSet::new(),
                observations: 0,
            });
            share.first = share.first.min(concern.first);
            share.last = share.last.max(concern.last);
            share.patients.insert(affected.patient);
            share.observations += count(concern.observations.len());
        }
        let contact = affected.contact.as_ref();
        let text = filled(
            LETTER,
            &[
                ("name", contact.map(|contact| contact.name.clone()).unwrap_or_default()),
                ("email", contact.map(|contact| contact.email.clone()).unwrap_or_default()),
                ("first", minute(affected.first)),
                ("last", minute(affected.last)),
                ("kinds", listed(&kinds)),
            ],
        );
        self.write(&format!("patient-{}.txt", affected.patient), &text)
    }

    /// The organizations whose controllers are to be told.
    #[must_use]
    pub fn organizations(&self) -> Vec<i32> {
        self.shares.keys().copied().collect()
    }

    /// Writes the other notices. Gives the directory.
    pub fn end(self, total: &Total, names: &[Named]) -> io::Result<PathBuf> {
        let (first, last) = self.span.unwrap_or((self.from, self.to));
        let whole = [
            ("first", minute(first)),
            ("last", minute(last)),
            ("kinds", listed(&self.kinds)),
            ("patients", total.patients.to_string()),
            ("observations", total.observations.to_string()),
            ("when_hhs", when_hhs(total.patients).to_owned()),
        ];
        self.write("hhs.txt", &filled(HHS, &whole))?;
        self.write("supervisory-authority.txt", &filled(AUTHORITY, &whole))?;
        for (id, share) in &self.shares {
            let name = names.iter().find(|named| named.id == *id).map(|named| named.name.clone()).unwrap_or_default();
            let patients: Vec<String> = share.patients.iter().map(ToString::to_string).collect();
            let text = filled(
                CONTROLLER,
                &[
                    ("organization", name),
                    ("first", minute(share.first)),
                    ("last", minute(share.last)),
                    ("patients", count(share.patients.len()).to_string()),
                    ("observations", share.observations.to_string()),
                    ("patient_ids", patients.join(" ")),
                ],
            );
            self.write(&format!("controller-{id}.txt"), &text)?;
        }
        Ok(self.directory)
    }

    fn write(&self, name: &str, text: &str) -> io::Result<()> {
        let mut options = fs::OpenOptions::new();
        options.write(true).create_new(true).mode(0o600);
        options.open(self.directory.join(name))?.write_all(text.as_bytes())
    }
}

fn count(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

/// 45 CFR 164.408: 500 and more are told at once, fewer by the year.
const fn when_hhs(patients: u64) -> &'static str {
    if patients >= 500 {
        "without unreasonable delay, and no later than 60 days after discovery"
    } else {
        "no later than 60 days after the end of the calendar year of the discovery"
    }
}

fn minute(time: Timestamp) -> String {
    time.strftime("%Y-%m-%d %H:%M UTC").to_string()
}

/// What kinds of data were shown, in words.
fn kinds(affected: &Affected) -> BTreeSet<String> {
    let of_observations = affected.contact.iter().flat_map(|contact| contact.kinds.iter().cloned());
    let mut kinds: BTreeSet<String> = of_observations.collect();
    kinds.extend(affected.resources.iter().filter_map(|resource| match resource.as_str() {
        "Observation" => None,
        "Patient" => Some("name, date of birth, e-mail address and telephone number".to_owned()),
        "Consent" => Some("decisions about sharing data".to_owned()),
        other => Some(format!("entries of the kind {other}")),
    }));
    if kinds.is_empty() {
        kinds.insert("being a patient here".to_owned());
    }
    kinds
}

fn listed(kinds: &BTreeSet<String>) -> String {
    kinds.iter().map(|kind| format!("- {}", plain(kind))).collect::<Vec<_>>().join("\n")
}

/// Text of a person's own, in one line.
fn plain(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect()
}

/// The template with what stands in braces. What is filled in is not looked through again.
fn filled(template: &str, values: &[(&str, String)]) -> String {
    let mut text = String::with_capacity(template.len());
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        text.push_str(before);
        let value = after.split_once('}').and_then(|(name, after)| {
            let (_, value) = values.iter().find(|(known, _)| *known == name)?;
            Some((value, after))
        });
        if let Some((value, after)) = value {
            text.push_str(value);
            rest = after;
        } else {
            text.push('{');
            rest = after;
        }
    }
    text.push_str(rest);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_filled_in_is_not_looked_through_again() {
        let values = [("name", "{email}".to_owned()), ("email", "e".to_owned())];
        assert_eq!(filled("{name} {email} {other} {", &values), "{email} e {other} {");
    }

    #[test]
    fn every_place_of_a_template_is_filled() {
        let known = ["name", "email", "first", "last", "kinds", "patients", "observations", "when_hhs", "organization"];
        let values: Vec<_> = known.iter().chain(&["patient_ids"]).map(|name| (*name, "x".to_owned())).collect();
        for template in [LETTER, HHS, AUTHORITY, CONTROLLER] {
            assert!(template.contains("{first}") && template.contains("{last}"), "{template}");
            assert!(!filled(template, &values).contains(['{', '}']), "{template}");
        }
    }

    #[test]
    fn hhs_is_told_at_once_of_five_hundred_45_cfr_164_408() {
        assert!(when_hhs(500).starts_with("without unreasonable delay"));
        assert!(when_hhs(499).contains("calendar year"));
    }
}
