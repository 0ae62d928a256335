//! A message that cannot be anything else than it says.

use lettre::{
    Address,
    message::{Mailbox, header::ContentType},
};
use std::fmt;

/// The longest subject, in characters: RFC 5322 2.1.1 folds lines at 78, and no subject of ours needs two.
const MAX_SUBJECT: usize = 120;

/// A mail in plain text to one address.
///
/// Neither the address nor the subject can hold a line end, so nothing in them becomes a header or a recipient of its own
/// (RFC 5322 2.2; CWE-93).
#[derive(Clone)]
pub struct Message {
    to: Address,
    subject: String,
    text: String,
}

/// A message cannot be made. The text does not quote it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MessageError {
    /// To whom is not an address that mail can be sent to.
    #[error("the recipient is not a mail address")]
    Address,
    /// The subject is empty, too long, or more than one line.
    #[error("the subject of a mail must be one line of text")]
    Subject,
    /// The text has control characters.
    #[error("the text of a mail must not have control characters")]
    Text,
    /// The message cannot be put into the form of RFC 5322.
    #[error("the mail cannot be formatted")]
    Format,
}

impl Message {
    /// A message to one address. The address has no display name and only ASCII characters, since not every server takes
    /// others (RFC 6531). Lines of the text end with `\n`.
    pub fn new(to: &str, subject: &str, text: &str) -> Result<Self, MessageError> {
        let printable = to.bytes().all(|byte| byte.is_ascii_graphic());
        let to: Address = Some(to).filter(|_| printable).and_then(|to| to.parse().ok()).ok_or(MessageError::Address)?;
        let is_line = !subject.trim().is_empty() && !subject.chars().any(is_break);
        if !is_line || subject.chars().count() > MAX_SUBJECT {
            return Err(MessageError::Subject);
        }
        if text.chars().any(|character| character.is_control() && !matches!(character, '\n' | '\t')) {
            return Err(MessageError::Text);
        }
        Ok(Self { to, subject: subject.to_owned(), text: text.to_owned() })
    }

    /// What it is about. Never a secret: it may be logged.
    #[must_use]
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// The address.
    pub(crate) fn to(&self) -> &str {
        self.to.as_ref()
    }

    /// The message in the form of RFC 5322, with a Message-ID of the sender's domain.
    pub(crate) fn internet_message(&self, from: &Mailbox) -> Result<lettre::Message, MessageError> {
        let id = oauth::Secret::invitation().map_err(|_| MessageError::Format)?;
        lettre::Message::builder()
            .message_id(Some(format!("<{}@{}>", id.expose(), from.email.domain())))
            .from(from.clone())
            .to(Mailbox::new(None, self.to.clone()))
            .subject(&self.subject)
            .header(ContentType::TEXT_PLAIN)
            .body(self.text.clone())
            .map_err(|_| MessageError::Format)
    }
}

/// The text may hold a secret, and the address is a person's.
impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Message").field("subject", &self.subject).finish_non_exhaustive()
    }
}

/// Control characters, and the two that Unicode has for the end of a line and of a paragraph.
fn is_break(character: char) -> bool {
    character.is_control() || matches!(character, '\u{2028}' | '\u{2029}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn formatted(to: &str, subject: &str, text: &str) -> String {
        let from = "The Exchange <no-reply@jhe.example>".parse().unwrap();
        let message = Message::new(to, subject, text).unwrap().internet_message(&from).unwrap();
        String::from_utf8(message.formatted()).unwrap()
    }

    #[test]
    fn a_message_is_what_it_says() {
        let text = formatted("peter@example.com", "Your invitation", "Hello\n\nhttps://a.example/x?y=1\n");
        let (headers, body) = text.split_once("\r\n\r\n").unwrap();
        for header in [
            "To: peter@example.com",
            "Subject: Your invitation",
            "From: \"The Exchange\" <no-reply@jhe.example>",
            "Content-Type: text/plain; charset=utf-8",
        ] {
            assert_eq!(headers.lines().filter(|line| *line == header).count(), 1, "{header} in {headers}");
        }
        assert!(headers.contains("@jhe.example>\r\n"), "{headers}");
        assert_eq!(body, "Hello\r\n\r\nhttps://a.example/x?y=1\r\n");
    }

    #[test]
    fn no_address_brings_a_header_or_another_recipient() {
        for bad in [
            "",
            "peter",
            "peter@",
            "@example.com",
            "a@example.com,b@example.com",
            "a@example.com b@example.com",
            "Peter <a@example.com>",
            "<a@example.com>",
            "a@example.com\r\nBcc: b@example.com",
            "a@example.com\n",
            "a\0@example.com",
            "a@example.com\u{2028}Bcc: b@example.com",
            "pétér@example.com",
        ] {
            assert_eq!(Message::new(bad, "s", "t").unwrap_err(), MessageError::Address, "{bad:?}");
        }
    }

    #[test]
    fn no_subject_brings_a_header() {
        let long = "s".repeat(MAX_SUBJECT + 1);
        for bad in ["", " ", "a\r\nBcc: b@example.com", "a\nb", "a\rb", "a\0", "a\u{2028}b", "a\u{85}b", &long] {
            assert_eq!(Message::new("a@example.com", bad, "t").unwrap_err(), MessageError::Subject, "{bad:?}");
        }
        let text = formatted("a@example.com", "Größe: 5", "t");
        assert!(text.contains("\r\nSubject: =?utf-8?"), "{text}");
    }

    #[test]
    fn the_text_stays_text() {
        for bad in ["a\rb", "a\0b", "\u{1b}[2J"] {
            assert_eq!(Message::new("a@example.com", "s", bad).unwrap_err(), MessageError::Text, "{bad:?}");
        }
        let text = formatted("a@example.com", "s", "Größe\n.\nBcc: b@example.com\n");
        let (headers, _) = text.split_once("\r\n\r\n").unwrap();
        assert!(!headers.contains("Bcc"), "{text}");
    }

    #[test]
    fn a_message_is_not_shown() {
        let message = Message::new("peter@example.com", "Your invitation", "the token").unwrap();
        let shown = format!("{message:?}");
        assert!(shown.contains("Your invitation") && !shown.contains("peter") && !shown.contains("token"), "{shown}");
    }
}
