//! The names of the files in a package: what was sent from outside is in them, and no file may end up anywhere but beside the others.

use std::collections::BTreeSet;

/// The most characters of a code that are in a name.
const LONGEST: usize = 60;

/// The names that were given away.
#[derive(Debug, Default)]
pub struct Names(BTreeSet<String>);

impl Names {
    /// A name for the table of what has this code: letters, digits, dots and hyphens of it, and a number where that is taken.
    pub fn table(&mut self, code: &str, volume: i64) -> String {
        let safe =
            |c: char| if c.is_ascii_alphanumeric() || c == '.' || c == '-' { c.to_ascii_lowercase() } else { '_' };
        let stem: String = code.chars().take(LONGEST).map(safe).collect();
        let mut number = 1;
        loop {
            let which = if number > 1 { format!("_{number}") } else { String::new() };
            let name = format!("tables/{volume}-{stem}{which}.csv");
            if self.0.insert(name.clone()) {
                return name;
            }
            number += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_leads_nowhere_else_and_is_given_once() {
        let mut names = Names::default();
        for (code, name) in [
            ("omh:heart-rate:2.0", "tables/1-omh_heart-rate_2.0.csv"),
            ("omh/heart-rate/2.0", "tables/1-omh_heart-rate_2.0_2.csv"),
            ("OMH:HEART-RATE:2.0", "tables/1-omh_heart-rate_2.0_3.csv"),
            ("../../etc/passwd", "tables/1-.._.._etc_passwd.csv"),
            ("c:\\x\u{202e}\u{0}", "tables/1-c__x__.csv"),
            ("", "tables/1-.csv"),
        ] {
            assert_eq!(names.table(code, 1), name);
        }
        assert_eq!(names.table(&"a".repeat(900), 2).len(), "tables/2-".len() + LONGEST + ".csv".len());
    }
}
