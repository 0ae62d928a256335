//! What people are told of findings: the kind of each finding and its address in the API, which only a super admin can open. No
//! account, no address, no number of anything.

use std::fmt::Write as _;
use store::Untold;

/// The subject and the text of a message.
pub(crate) fn message(findings: &[Untold], site: &str) -> (String, String) {
    let subject = match findings.len() {
        1 => "JupyterHealth Exchange: 1 security finding".to_owned(),
        many => format!("JupyterHealth Exchange: {many} security findings"),
    };
    let mut text =
        "The security monitor found something unusual. A super admin can see what is behind it:\n\n".to_owned();
    for Untold { id, kind } in findings {
        // Writing to a String does not fail.
        let _ = writeln!(text, "{kind}\n{site}/api/v1/security-findings/{id}\n");
    }
    (subject, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_says_where_to_look_and_no_more() {
        let finding = |id, kind: &str| Untold { id, kind: kind.to_owned() };
        let (subject, text) = message(&[finding(7, "volume"), finding(8, "breadth")], "https://jhe.example");
        assert_eq!(subject, "JupyterHealth Exchange: 2 security findings");
        assert_eq!(
            text,
            "The security monitor found something unusual. A super admin can see what is behind it:\n\n\
             volume\nhttps://jhe.example/api/v1/security-findings/7\n\n\
             breadth\nhttps://jhe.example/api/v1/security-findings/8\n\n"
        );
    }
}
