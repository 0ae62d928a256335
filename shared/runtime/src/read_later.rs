//! Settings that only the functions read which need them, checked where all functions are in one process.

use store::ConfigError;

/// A setting that only what needs it reads, and that somewhere else than at the start: whether a value of it is one, and what to use.
type ReadLater = (&'static str, fn(&str) -> bool, &'static str);

/// Those with a number or hours. A host has all functions, and refuses what one of them cannot read before it serves: else it is found when
/// the function is called. On Lambda a function starts without what it does not read.
const READ_LATER: [ReadLater; 17] = [
    ("ERASURE_AFTER_DAYS", |text| is_within(text, 0, 3660), "use 0 to 3660 days"),
    ("EXPORT_SECONDS", |text| is_within(text, 60, 7 * 24 * 3600), "use 60 to 604800 seconds"),
    ("RETENTION_MINIMUM_DAYS", |text| is_within(text, 1, 36_500), "use 1 to 36500 days"),
    ("RETENTION_NOTICE_DAYS", |text| is_within(text, 1, 365), "use 1 to 365 days"),
    ("BACKUP_KEEP_DAYS", is_count, "use a number"),
    ("BACKUP_KEEP_WEEKS", is_count, "use a number"),
    ("BACKUP_KEEP_MONTHS", is_count, "use a number"),
    ("BACKUP_KEEP_YEARS", is_count, "use a number"),
    ("SECURITY_DORMANT_DAYS", |text| is_within(text, 7, 365), "use 7 to 365 days"),
    ("SECURITY_OFFICE_HOURS", is_hours, "use two hours of a day, such as 7-19"),
    ("SIGNING_KEY_DAYS", |text| is_within(text, 1, 65_535), "use 1 to 65535 days"),
    ("SIGNING_KEY_BITS", |text| ["2048", "3072", "4096"].contains(&text), "use 2048, 3072 or 4096"),
    ("SMTP_PORT", is_port, "use a port number"),
    ("DB_PORT", is_port, "use a port number"),
    ("DB_OWNER_PORT", is_port, "use a port number"),
    ("DB_POOL_SIZE", is_count, "use a number"),
    ("DB_CONNECT_TIMEOUT", is_count, "use a number of seconds"),
];

/// Refuses what a function could not read later, by its name. Nothing is what is not set.
pub(crate) fn check(lookup: impl Fn(&str) -> Option<String>) -> Result<(), ConfigError> {
    let is_bad = |(name, is_good, _): &&ReadLater| lookup(name).is_some_and(|text| !text.is_empty() && !is_good(&text));
    READ_LATER.iter().find(is_bad).map_or(Ok(()), |(name, _, use_this)| Err(ConfigError::Invalid(name, use_this)))
}

fn is_within(text: &str, least: u64, most: u64) -> bool {
    text.parse().is_ok_and(|number| (least..=most).contains(&number))
}

fn is_count(text: &str) -> bool {
    text.parse::<usize>().is_ok()
}

fn is_port(text: &str) -> bool {
    text.parse::<u16>().is_ok()
}

fn is_hours(text: &str) -> bool {
    let hours = text.split_once('-').map(|(opens, closes)| (opens.parse::<u8>(), closes.parse::<u8>()));
    matches!(hours, Some((Ok(opens), Ok(closes))) if opens < closes && closes <= 24)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_later_is_refused_by_name_before() {
        let check = |name: &str, value: &str| super::check(|asked| (asked == name).then(|| value.to_owned()));
        for (name, ..) in READ_LATER {
            for bad in ["30d", "1h", "-1", " 7", "many", "0x10"] {
                let error = check(name, bad).unwrap_err();
                assert!(error.to_string().contains(name), "{error}");
            }
            assert!(check(name, "").is_ok(), "{name}: not set");
        }
        for (name, good) in [
            ("ERASURE_AFTER_DAYS", "0"),
            ("ERASURE_AFTER_DAYS", "3660"),
            ("EXPORT_SECONDS", "60"),
            ("EXPORT_SECONDS", "604800"),
            ("BACKUP_KEEP_YEARS", "0"),
            ("SECURITY_OFFICE_HOURS", "0-24"),
            ("SIGNING_KEY_BITS", "3072"),
            ("DB_CONNECT_TIMEOUT", "3"),
            ("SMTP_PORT", "465"),
        ] {
            assert!(check(name, good).is_ok(), "{name}={good}");
        }
        for (name, bad) in [("ERASURE_AFTER_DAYS", "3661"), ("EXPORT_SECONDS", "59"), ("SECURITY_OFFICE_HOURS", "19-7")]
        {
            assert!(check(name, bad).is_err(), "{name}={bad}");
        }
    }
}
