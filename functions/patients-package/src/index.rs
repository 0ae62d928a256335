//! The page of a package that a person reads: what there is, who may see it, and who looked. It needs no network and no script.

use crate::volume::Table;
use audit_log::{OWN_ENTRY, OwnEntry};
use jiff::Timestamp;
use runtime::{
    Failure,
    pages::{self, escape},
};
use serde_json::Value;
use std::collections::BTreeMap;
use store::{ConsentDecision, ConsentRecord, Patient};

/// What the first file of a package tells besides the data.
pub struct About {
    record: String,
    may_see: String,
    looked: String,
    /// Who looked, as a table (RFC 4180).
    pub log: String,
}

impl About {
    /// Puts it into words. `more`: there are older events than these.
    pub fn new(
        record: Option<&Patient>,
        decisions: &[ConsentRecord],
        looked: &[OwnEntry<'_>],
        more: bool,
    ) -> Result<Self, Failure> {
        let rows: Vec<Value> = looked.iter().map(serde_json::to_value).collect::<Result<_, _>>()?;
        Ok(Self {
            record: record.map(told).unwrap_or_default(),
            may_see: may_see(decisions),
            looked: who_looked(looked, more),
            log: audit_log::csv(&OWN_ENTRY, &rows),
        })
    }

    /// The page.
    pub fn page(
        &self,
        site: &str,
        made_at: Timestamp,
        counts: &BTreeMap<String, usize>,
        tables: &[Table],
        has_next: bool,
    ) -> String {
        let next = if has_next {
            "<p>Your data did not fit into one file. The others have more of the same: unpack them into the same folder.</p>"
        } else {
            ""
        };
        let counts: String = counts.iter().map(|(kind, count)| row(&[kind, &count.to_string()])).collect();
        let tables: Vec<String> = tables
            .iter()
            .map(|table| {
                let name = escape(&table.name);
                format!(
                    "<tr><td>{}</td><td>{}</td><td><a href=\"{name}\">{name}</a></td></tr>",
                    escape(&table.code),
                    table.rows
                )
            })
            .collect();
        let body = format!(
            "<p>This is what {site} has about you. It was made on {date}, when you asked for it. Keep it as safe as a letter from your doctor.</p>{next}\
             <h2>Your record</h2>{record}\
             <h2>Who may see your data</h2>{may_see}\
             <h2>Who looked</h2>{looked}\
             <h2>Your data in this file</h2>\
             <p>As tables, for a spreadsheet:</p>{tables}\
             <p>All of it for another system, as FHIR: <a href=\"fhir/1-bundle.json\">fhir/1-bundle.json</a>.</p>{counts}",
            site = escape(site),
            date = date(made_at),
            record = self.record,
            may_see = self.may_see,
            looked = self.looked,
            tables = table(&["Kind of data", "Rows", "File"], &tables.concat()),
            counts = table(&["Kind of resource", "How many"], &counts),
        );
        pages::wide("Your health data", &body)
    }
}

fn told(record: &Patient) -> String {
    let birth_date = record.birth_date.to_string();
    let mut rows = row(&["Name", &format!("{} {}", record.name_given, record.name_family)]);
    rows.push_str(&row(&["Date of birth", &birth_date]));
    rows.push_str(&row(&["E-mail", &record.telecom_email]));
    if let Some(phone) = &record.telecom_phone {
        rows.push_str(&row(&["Telephone", phone]));
    }
    for identifier in &record.identifiers {
        rows.push_str(&row(&["Identifier", &format!("{} ({})", identifier.value, identifier.system)]));
    }
    table(&["What", "Value"], &rows)
}

fn may_see(decisions: &[ConsentRecord]) -> String {
    let granted = decisions.iter().filter(|one| one.in_force && one.decision == ConsentDecision::Granted);
    let granted: String = granted.map(|one| row(&[&one.study_name, &one.text, &date(one.decided_at)])).collect();
    let now = if granted.is_empty() {
        "<p>No study may see your data.</p>".to_owned()
    } else {
        format!("<p>These studies may, because you agreed:</p>{}", table(&["Study", "Data", "Agreed on"], &granted))
    };
    if decisions.is_empty() {
        return now;
    }
    let all: String = decisions
        .iter()
        .rev()
        .map(|one| {
            let decided = match one.decision {
                ConsentDecision::Granted => "agreed",
                ConsentDecision::Refused => "refused",
                ConsentDecision::Withdrawn => "taken back",
            };
            let by = if one.authorization_reference.is_some() { "somebody for you" } else { "you" };
            row(&[&date(one.decided_at), &one.study_name, &one.text, decided, by])
        })
        .collect();
    let all = table(&["When", "Study", "Data", "Decision", "By"], &all);
    format!("{now}<details><summary>Every decision, newest first</summary>{all}</details>")
}

fn who_looked(looked: &[OwnEntry<'_>], more: bool) -> String {
    if looked.is_empty() {
        return "<p>Nobody has looked yet.</p>".to_owned();
    }
    let rows: String = looked.iter().map(|event| row(&[&date(event.occurred_at), &event.summary])).collect();
    let older = if more {
        " The access log of your app has older events, and what you did yourself."
    } else {
        " What you did yourself is in the access log of your app."
    };
    format!(
        "<p>Newest first. With all details in <a href=\"who-looked.csv\">who-looked.csv</a>.{older}</p>{}",
        table(&["When", "What"], &rows)
    )
}

fn table(head: &[&str], rows: &str) -> String {
    if rows.is_empty() {
        return "<p>None.</p>".to_owned();
    }
    let head: Vec<String> = head.iter().map(|name| format!("<th scope=\"col\">{}</th>", escape(name))).collect();
    let head = head.concat();
    format!("<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>")
}

fn row(cells: &[&str]) -> String {
    let cells: Vec<String> = cells.iter().map(|cell| format!("<td>{}</td>", escape(cell))).collect();
    format!("<tr>{}</tr>", cells.concat())
}

fn date(time: Timestamp) -> String {
    time.strftime("%-d %b %Y, %H:%M UTC").to_string()
}
