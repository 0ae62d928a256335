//! The evidence: what was found, when and of what, as JSON and as Markdown, and the signature of both.

use super::{Finding, Target};
use jiff::Timestamp;
use oauth::{Secret, token::sha256};
use runtime::{App, VERSION};
use serde::Serialize;
use serde_json::json;
use signing_keys::KeysError;
use std::fmt::Write as _;

/// What was found.
#[derive(Debug, Serialize)]
pub struct Report {
    /// The URL of the site.
    pub site: String,
    /// Where it is.
    pub target: Target,
    /// The database, as host and name.
    pub database: String,
    /// When this was found.
    pub at: Timestamp,
    /// The version that looked.
    pub version: &'static str,
    /// How many passed, failed and could not be checked.
    pub counts: Counts,
    /// Each result.
    pub findings: Vec<Finding>,
}

/// How many of each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// As it has to be.
    pub pass: usize,
    /// Not so.
    pub fail: usize,
    /// Not seen from here.
    pub not_checkable: usize,
}

impl Counts {
    /// Counts findings.
    #[must_use]
    pub fn of(findings: &[Finding]) -> Self {
        let count = |word| findings.iter().filter(|finding| finding.verdict == word).count();
        Self { pass: count("pass"), fail: count("fail"), not_checkable: count("not checkable") }
    }
}

/// The files of a report.
pub struct Evidence {
    /// The report for programs.
    pub json: String,
    /// The report for people.
    pub markdown: String,
}

impl Report {
    /// The name of its files, without an ending.
    #[must_use]
    pub fn stem(&self) -> String {
        format!("jhe-verify-{}-{}", self.target.name(), self.at.strftime("%Y%m%dT%H%M%SZ"))
    }

    /// The report as files.
    #[must_use]
    pub fn evidence(&self) -> Evidence {
        Evidence { json: serde_json::to_string_pretty(self).unwrap_or_default(), markdown: self.markdown() }
    }

    /// A JWS of the digests of both files (RFC 7515 3.1), by the key that signs `id_token`s.
    pub async fn signature(&self, app: &App, evidence: &Evidence) -> Result<Secret, KeysError> {
        let digest = |text: &str| secrets::hex(&sha256(text.as_bytes()));
        // It has no issuer, subject and audience, so nobody can take it for an id_token.
        let claims = json!({
            "kind": "jhe verify",
            "at": self.at,
            "target": self.target,
            "fail": self.counts.fail,
            "sha256": { "json": digest(&evidence.json), "markdown": digest(&evidence.markdown) },
        });
        signing_keys::keys(app).await?.sign(app, &claims).await
    }

    /// For people.
    #[must_use]
    pub fn markdown(&self) -> String {
        let Counts { pass, fail, not_checkable } = self.counts;
        let mut text = format!(
            "# Evidence: {}\n\n- when: {}\n- target: {}\n- database: {}\n- version: {}\n- result: {pass} pass, {fail} fail, \
             {not_checkable} not checkable\n\n| check | what has to be so | result | what was seen | what to do |\n\
             | --- | --- | --- | --- | --- |\n",
            cell(&self.site),
            self.at,
            self.target.name(),
            cell(&self.database),
            self.version,
        );
        for finding in &self.findings {
            // Writing to a String does not fail.
            let _ = writeln!(
                text,
                "| {} | {} | {} | {} | {} |",
                finding.id,
                cell(finding.requirement),
                finding.verdict,
                cell(&finding.reason),
                cell(finding.remedy.unwrap_or_default())
            );
        }
        text
    }

    /// A report of findings.
    #[must_use]
    pub fn new(site: &str, target: Target, database: String, at: Timestamp, findings: Vec<Finding>) -> Self {
        let counts = Counts::of(&findings);
        Self { site: site.to_owned(), target, database, at, version: VERSION, counts, findings }
    }
}

/// Text in a cell of a table: what comes from elsewhere makes no rows and no markup.
fn cell(text: &str) -> String {
    text.chars()
        .flat_map(|character| {
            let escape = matches!(character, '|' | '<' | '>' | '`' | '\\' | '[' | ']' | '*');
            let character = if character.is_control() { ' ' } else { character };
            escape.then_some('\\').into_iter().chain([character])
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(id: &'static str, verdict: &'static str, reason: &str) -> Finding {
        Finding {
            id,
            requirement: "it is so",
            verdict,
            reason: reason.to_owned(),
            remedy: (verdict != "pass").then_some("Do."),
        }
    }

    #[test]
    fn a_report_counts_and_has_a_row_for_each_finding_whatever_was_seen() {
        let findings = vec![
            finding("a", "pass", "good"),
            finding("b", "fail", "x | y\n| c | z"),
            finding("c", "not checkable", "<script>"),
        ];
        let at = "2026-03-01T12:00:00.5Z".parse().unwrap();
        let report = Report::new("https://jhe.example", Target::Gcp, "db/jhe".to_owned(), at, findings);
        assert_eq!(report.counts, Counts { pass: 1, fail: 1, not_checkable: 1 });
        assert_eq!(report.stem(), "jhe-verify-gcp-20260301T120000Z");
        let markdown = report.markdown();
        let rows: Vec<&str> = markdown.lines().filter(|line| line.starts_with("| ")).collect();
        assert_eq!(rows.len(), 2 + 3, "{markdown}");
        assert_eq!(rows[2], "| a | it is so | pass | good |  |");
        assert_eq!(rows[3], "| b | it is so | fail | x \\| y \\| c \\| z | Do. |");
        assert!(!markdown.contains("<script>"));
        let json = serde_json::to_value(&report).unwrap();
        assert_eq!((&json["target"], &json["counts"]["fail"]), (&json!("gcp"), &json!(1)));
        assert!(json["findings"][0].get("remedy").is_none());
    }
}
