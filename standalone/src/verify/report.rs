//! The evidence: what was found, when and of what, as JSON and as Markdown, and the signature of both by the key that signs the
//! audit's seals.

use super::{Finding, Subject, Target, sealed};
use jiff::Timestamp;
use oauth::token::sha256;
use runtime::VERSION;
use serde::Serialize;
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

/// Who signs a report: a part of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Signatory {
    /// The key with this SHA-256, of its DER.
    Key(String),
    /// Nobody, for this reason.
    Nobody(String),
}

/// A report with who signs it.
#[derive(Serialize)]
struct Signed<'a> {
    #[serde(flatten)]
    report: &'a Report,
    signed_by: &'a Signatory,
}

/// The files of a report.
pub struct Evidence {
    /// The report for programs.
    pub json: String,
    /// The report for people.
    pub markdown: String,
    /// The signature, or why there is none.
    pub signature: Result<Signature, String>,
}

/// What is signed, and its signature.
pub struct Signature {
    /// The SHA-256 of both files, as `sha256sum` writes and checks it. No seal is such a text.
    pub sums: String,
    /// The signature of that: ECDSA on P-384 with SHA-384, in DER.
    pub bytes: Vec<u8>,
}

impl Report {
    /// The name of its files, without an ending.
    #[must_use]
    pub fn stem(&self) -> String {
        format!("jhe-verify-{}-{}", self.target.name(), self.at.strftime("%Y%m%dT%H%M%SZ"))
    }

    /// The report as files, signed if that can be.
    pub async fn evidence(&self, subject: &Subject) -> Evidence {
        match self.signed(subject).await {
            Ok(evidence) => evidence,
            Err(why) => {
                let nobody = Signatory::Nobody(why.clone());
                Evidence { json: self.json(&nobody), markdown: self.markdown(&nobody), signature: Err(why) }
            }
        }
    }

    async fn signed(&self, subject: &Subject) -> Result<Evidence, String> {
        // There is no other key for the seals of AWS: one of this host would not be theirs.
        if let Some(unset) = sealed::unset(subject, &["AUDIT_SEAL_KEY_ID"]) {
            return Err(unset);
        }
        let signer = seals::signer(&subject.app).await.map_err(|error| error.to_string())?;
        let signer = signer.ok_or("there is no key of the audit yet: `jhe audit seal` makes it")?;
        let key = Signatory::Key(secrets::hex(&signer.public.id()));
        let (json, markdown) = (self.json(&key), self.markdown(&key));
        let sums = [(&json, "json"), (&markdown, "md")].into_iter().fold(String::new(), |mut sums, (text, ending)| {
            // Writing to a String does not fail.
            let _ = writeln!(sums, "{}  {}.{ending}", secrets::hex(&sha256(text.as_bytes())), self.stem());
            sums
        });
        let bytes = signer.sign(sums.as_bytes()).await.map_err(|error| error.to_string())?;
        Ok(Evidence { json, markdown, signature: Ok(Signature { sums, bytes }) })
    }

    /// For programs.
    #[must_use]
    pub fn json(&self, signed_by: &Signatory) -> String {
        serde_json::to_string_pretty(&Signed { report: self, signed_by }).unwrap_or_default()
    }

    /// For people.
    #[must_use]
    pub fn markdown(&self, signed_by: &Signatory) -> String {
        let Counts { pass, fail, not_checkable } = self.counts;
        let signed = match signed_by {
            Signatory::Key(id) => format!("signed by: the key of the audit's seals, {id}"),
            Signatory::Nobody(why) => format!("**not signed**: {}", cell(why)),
        };
        let mut text = format!(
            "# Evidence: {}\n\n- when: {}\n- target: {}\n- database: {}\n- version: {}\n- result: {pass} pass, {fail} fail, \
             {not_checkable} not checkable\n- {signed}\n\n| check | what has to be so | result | what was seen | what to do |\n\
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
    use serde_json::json;

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
        let key = Signatory::Key("5f1c".to_owned());
        let markdown = report.markdown(&key);
        let rows: Vec<&str> = markdown.lines().filter(|line| line.starts_with("| ")).collect();
        assert_eq!(rows.len(), 2 + 3, "{markdown}");
        assert_eq!(rows[2], "| a | it is so | pass | good |  |");
        assert_eq!(rows[3], "| b | it is so | fail | x \\| y \\| c \\| z | Do. |");
        assert!(!markdown.contains("<script>"));
        let json: serde_json::Value = serde_json::from_str(&report.json(&key)).unwrap();
        assert_eq!((&json["target"], &json["counts"]["fail"]), (&json!("gcp"), &json!(1)));
        assert!(json["findings"][0].get("remedy").is_none());
        assert!(markdown.contains("\n- signed by: the key of the audit's seals, 5f1c\n"), "{markdown}");
        assert_eq!(json["signed_by"], json!({ "key": "5f1c" }));
        let nobody = Signatory::Nobody("no key".to_owned());
        assert!(report.markdown(&nobody).contains("\n- **not signed**: no key\n"));
        assert!(report.json(&nobody).contains("\"nobody\": \"no key\""));
    }
}
