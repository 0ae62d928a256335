//! What an invited patient reads. It names no person, no study and no illness: mail is read on the way, and by families.

use jiff::Timestamp;

pub(crate) const SUBJECT: &str = "Your JupyterHealth invitation";

pub(crate) fn text(link: &str, expires_at: Timestamp) -> String {
    let until = expires_at.strftime("%Y-%m-%d %H:%M UTC");
    format!(
        "Hello,\n\
         \n\
         you are invited to connect an app. Open this link on the device where you want to use it:\n\
         \n\
         {link}\n\
         \n\
         The link works until {until}. It is for you alone: whoever opens it first can act as you in the app. Do not pass it on.\n\
         \n\
         If you did not expect this message, you need not do anything.\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_has_the_link_on_a_line_of_its_own_and_its_end() {
        let text = text("https://a.example/x", Timestamp::new(1_700_000_000, 0).unwrap());
        assert!(text.lines().any(|line| line == "https://a.example/x"), "{text}");
        assert!(text.contains("2023-11-14 22:13 UTC"), "{text}");
    }
}
