//! The frame of the server-rendered pages.

use http::StatusCode;

/// Nothing but this origin's own style, no script, no frame. There is no `form-action`: browsers apply it to the
/// redirects after a form too, and those lead to redirect URIs of any scheme (RFC 8252 section 7.1).
pub const POLICY: &str =
    "default-src 'none'; style-src 'unsafe-inline'; img-src 'self' data:; base-uri 'none'; frame-ancestors 'none'";

/// The same, with scripts of this origin: for the pages that ask the browser for a passkey.
pub const POLICY_WITH_SCRIPT: &str = "default-src 'none'; script-src 'self'; style-src 'unsafe-inline'; \
                                      img-src 'self' data:; base-uri 'none'; frame-ancestors 'none'";

const STYLE: &str = "
:root { color-scheme: light dark; --page: #f3f5f7; --card: #fff; --text: #17212b; --soft: #52606d; --line: #c3ccd5; --accent: #0b6b6b; --on: #fff; --bad: #a8201a; --bad-card: #fdf1f0; --good: #0b6b3a; --good-card: #eef8f2 }
@media (prefers-color-scheme: dark) { :root { --page: #10161c; --card: #19222b; --text: #e8edf2; --soft: #a9b6c3; --line: #3b4956; --accent: #5ccfc9; --on: #06201f; --bad: #ff9c94; --bad-card: #33201f; --good: #7fd6a4; --good-card: #182b21 } }
* { box-sizing: border-box }
body { margin: 0; background: var(--page); color: var(--text); font: 1rem/1.55 system-ui, sans-serif; min-height: 100vh; display: grid; grid-template-rows: auto 1fr auto; justify-items: center; gap: 1.5rem; padding: 1.5rem 1rem }
header, footer { font-size: .9rem; color: var(--soft); text-align: center } header strong { color: var(--text); font-size: 1rem }
main { width: 100%; max-width: 26rem; align-self: center; background: var(--card); border: 1px solid var(--line); border-radius: 1rem; padding: 2rem 1.75rem; overflow-wrap: anywhere }
main.wide { max-width: 44rem; align-self: start }
h1 { font-size: 1.5rem; line-height: 1.25; margin: 0 0 .75rem } h2 { font-size: 1.1rem; margin: 2rem 0 .5rem }
p { margin: .5rem 0 1rem } a { color: var(--accent) } ul { padding-left: 1.25rem }
label { display: block; font-weight: 600; margin-top: 1.25rem } .hint { color: var(--soft); font-size: .9rem; margin: .15rem 0 .35rem }
input { width: 100%; font: inherit; color: inherit; background: var(--card); padding: .7rem .8rem; border: 1px solid var(--soft); border-radius: .5rem; margin-top: .35rem }
input[aria-invalid=true] { border: 2px solid var(--bad) } .wrong { color: var(--bad); font-weight: 600; margin: .25rem 0 0 }
button { width: 100%; min-height: 2.9rem; margin-top: 1.5rem; font: inherit; font-weight: 600; padding: .6rem 1rem; border: 1px solid var(--accent); border-radius: .5rem; background: var(--accent); color: var(--on); cursor: pointer }
a.button { display: block; margin-top: .75rem; padding: .7rem 1rem; text-align: center; border: 1px solid var(--soft); border-radius: .5rem; color: var(--text); font-weight: 600; text-decoration: none }
button.quiet { background: none; color: var(--text); border-color: var(--soft); margin-top: .75rem }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px }
.alert { border-left: .3rem solid var(--bad); background: var(--bad-card); border-radius: .4rem; padding: .75rem 1rem; margin: 0 0 1rem } .alert h2 { margin: 0; font-size: 1rem } .alert ul { margin: .25rem 0 0 } .alert a { color: var(--bad) }
.done { border-left: .3rem solid var(--good); background: var(--good-card); border-radius: .4rem; padding: .75rem 1rem; margin: 0 0 1rem }
.list { list-style: none; padding: 0; margin: 0 } .list li { display: flex; flex-wrap: wrap; gap: .5rem 1rem; align-items: center; justify-content: space-between; border-top: 1px solid var(--line); padding: .9rem 0 }
.list p { margin: 0 } .list form button { width: auto; min-height: 2.5rem; margin: 0 }
nav ul { list-style: none; display: flex; flex-wrap: wrap; gap: .25rem 1.25rem; padding: 0 0 1rem; margin: 0 0 1.5rem; border-bottom: 1px solid var(--line) } nav a { display: inline-block; padding: .35rem 0 } nav [aria-current] { font-weight: 600; color: var(--text); text-decoration: none }
.qr { display: block; width: 13rem; max-width: 100%; margin: 1rem auto; background: #fff; border-radius: .5rem } .code { font: 1.05rem/1.9 ui-monospace, monospace } .links { margin: 1.25rem 0 0; display: grid; gap: .35rem }
details { border-top: 1px solid var(--line); padding: .6rem 0 } summary { cursor: pointer } table { width: 100%; border-collapse: collapse; margin: .5rem 0 1rem; font-size: .92rem } caption { text-align: left; color: var(--soft) } th, td { text-align: left; vertical-align: top; border-top: 1px solid var(--line); padding: .35rem .75rem .35rem 0 }
";

/// A page with a title and a body of trusted HTML.
#[must_use]
pub fn page(title: &str, body: &str) -> String {
    framed(title, "", "", body)
}

/// A page for more than a form: a reference, a list.
#[must_use]
pub fn wide(title: &str, body: &str) -> String {
    framed(title, " class=\"wide\"", "", body)
}

/// A page for who is signed in, outside the account's own: with the way to sign out (OWASP ASVS 5.0 section 7.4.4).
#[must_use]
pub fn in_session(title: &str, body: &str) -> String {
    page(title, &format!("{body}<p class=\"links\"><a href=\"/accounts/logout/\">Sign out</a></p>"))
}

/// The parts of a person's own account: path and name.
const ACCOUNT: [(&str, &str); 4] = [
    ("/accounts/sessions/", "Sessions and apps"),
    ("/accounts/password/", "Password"),
    ("/accounts/second-factor/manage/", "Second factor"),
    ("/accounts/logout/", "Sign out"),
];

/// A page of a person's own account, with the way to its other parts. `path` is the page's own.
#[must_use]
pub fn account(title: &str, path: &str, body: &str) -> String {
    let links: Vec<String> = ACCOUNT
        .iter()
        .map(|(to, name)| {
            let current = if *to == path { " aria-current=\"page\"" } else { "" };
            format!("<li><a href=\"{to}\"{current}>{name}</a></li>")
        })
        .collect();
    framed(title, " class=\"wide\"", &format!("<nav aria-label=\"Account\"><ul>{}</ul></nav>", links.concat()), body)
}

fn framed(title: &str, class: &str, before: &str, body: &str) -> String {
    let title = escape(title);
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <title>{title} - JupyterHealth Exchange</title><link rel=\"icon\" href=\"data:,\"><style>{STYLE}</style></head>\
         <body><header><strong>JupyterHealth Exchange</strong></header>\
         <main{class}>{before}<h1>{title}</h1>{body}</main>\
         <footer>Health data, shared by consent</footer></body></html>\n",
    )
}

/// A field of a form with its label, a hint and what is wrong with it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Field<'a> {
    /// The name, which is also the id.
    pub name: &'a str,
    /// The label.
    pub label: &'a str,
    /// The type of the input.
    pub kind: &'a str,
    /// What the browser may fill in.
    pub autocomplete: &'a str,
    /// What was typed before.
    pub value: &'a str,
    /// What to type.
    pub hint: Option<&'a str>,
    /// What is wrong with it.
    pub problem: Option<&'a str>,
    /// The most characters; zero for no limit.
    pub longest: usize,
}

impl Field<'_> {
    /// The field as HTML.
    #[must_use]
    pub fn html(&self) -> String {
        let name = escape(self.name);
        let mut described = Vec::new();
        let hint = self.hint.map_or_else(String::new, |text| {
            described.push(format!("{name}-hint"));
            format!("<p class=\"hint\" id=\"{name}-hint\">{}</p>", escape(text))
        });
        let problem = self.problem.map_or_else(String::new, |text| {
            described.push(format!("{name}-problem"));
            format!("<p class=\"wrong\" id=\"{name}-problem\">{}</p>", escape(text))
        });
        let invalid = if self.problem.is_some() { " aria-invalid=\"true\"" } else { "" };
        let described =
            if described.is_empty() { String::new() } else { format!(" aria-describedby=\"{}\"", described.join(" ")) };
        let value = if self.value.is_empty() { String::new() } else { format!(" value=\"{}\"", escape(self.value)) };
        let longest = if self.longest == 0 { String::new() } else { format!(" maxlength=\"{}\"", self.longest) };
        format!(
            "<label for=\"{name}\">{label}</label>{hint}{problem}\
             <input id=\"{name}\" name=\"{name}\" type=\"{kind}\" autocomplete=\"{autocomplete}\" required{value}{longest}{invalid}{described}>",
            label = escape(self.label),
            kind = escape(self.kind),
            autocomplete = escape(self.autocomplete),
        )
    }
}

/// What is wrong with a form, each with a link to its field. Nothing when nothing is wrong.
#[must_use]
pub fn problems(fields: &[Field<'_>]) -> String {
    let items: Vec<String> = fields
        .iter()
        .filter_map(|field| field.problem.map(|text| (field.name, text)))
        .map(|(name, text)| format!("<li><a href=\"#{}\">{}</a></li>", escape(name), escape(text)))
        .collect();
    if items.is_empty() {
        return String::new();
    }
    format!("<div class=\"alert\" role=\"alert\"><h2>There is a problem</h2><ul>{}</ul></div>", items.concat())
}

/// A form: its problems, its hidden fields, its fields and its button.
#[must_use]
pub fn form(action: &str, hidden: &[(&str, &str)], fields: &[Field<'_>], button: &str) -> String {
    let inputs: String = fields.iter().map(Field::html).collect();
    format!(
        "{}<form method=\"post\" action=\"{}\" novalidate>{}{inputs}<button>{}</button></form>",
        problems(fields),
        escape(action),
        hidden_fields(hidden),
        escape(button),
    )
}

/// A form of one button, beside the page's main one.
#[must_use]
pub fn quiet_form(action: &str, hidden: &[(&str, &str)], button: &str) -> String {
    format!(
        "<form method=\"post\" action=\"{}\">{}<button class=\"quiet\">{}</button></form>",
        escape(action),
        hidden_fields(hidden),
        escape(button),
    )
}

/// The hidden fields of a form.
#[must_use]
pub fn hidden_fields(hidden: &[(&str, &str)]) -> String {
    hidden
        .iter()
        .map(|(name, value)| format!("<input type=\"hidden\" name=\"{}\" value=\"{}\">", escape(name), escape(value)))
        .collect::<Vec<_>>()
        .concat()
}

/// A text that says what was done, read out when the page loads.
#[must_use]
pub fn done(text: &str) -> String {
    format!("<p class=\"done\" role=\"status\">{}</p>", escape(text))
}

/// The page of an error.
#[must_use]
pub fn error(status: StatusCode, detail: &str) -> String {
    let title = match status {
        StatusCode::NOT_FOUND => "Page not found",
        StatusCode::SERVICE_UNAVAILABLE => "Please try again",
        StatusCode::TOO_MANY_REQUESTS => "Too many attempts",
        status if status.is_server_error() => "Something went wrong",
        _ => "This request cannot be served",
    };
    page(title, &format!("<p class=\"alert\" role=\"alert\">{}</p>", escape(detail)))
}

/// Text as HTML, for content and quoted attributes.
#[must_use]
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

/// A list of texts.
#[must_use]
pub fn list(texts: &[String]) -> String {
    let items: Vec<String> = texts.iter().map(|text| format!("<li>{}</li>", escape(text))).collect();
    format!("<ul>{}</ul>", items.concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIELD: Field<'_> = Field {
        name: "a",
        label: "A & B",
        kind: "text",
        autocomplete: "off",
        value: "\"><script>",
        hint: Some("hint"),
        problem: Some("Too <short>"),
        longest: 5,
    };

    #[test]
    fn a_problem_is_linked_to_its_field_and_the_field_to_it() {
        let html = form("/x", &[("t", "1")], &[FIELD], "Send");
        for part in [
            "<a href=\"#a\">Too &lt;short&gt;</a>",
            "<label for=\"a\">A &amp; B</label>",
            "aria-invalid=\"true\" aria-describedby=\"a-hint a-problem\"",
            "id=\"a-problem\"",
            "maxlength=\"5\"",
            "value=\"&quot;&gt;&lt;script&gt;\"",
            "<input type=\"hidden\" name=\"t\" value=\"1\">",
        ] {
            assert!(html.contains(part), "{part}: {html}");
        }
        assert!(!html.contains("<script>"));
    }

    #[test]
    fn without_a_problem_nothing_is_said_of_one() {
        let fine = Field { problem: None, hint: None, ..FIELD };
        let html = form("/x", &[], &[fine], "Send");
        assert!(!html.contains("alert") && !html.contains("aria-"), "{html}");
    }

    #[test]
    fn a_page_of_the_account_says_where_one_is() {
        let html = account("Password", "/accounts/password/", "<p>x</p>");
        assert_eq!(html.matches("aria-current").count(), 2, "in the style and once in the page");
        assert!(html.contains("</nav><h1>Password</h1><p>x</p></main>"), "{html}");
    }

    #[test]
    fn a_list_holds_texts_and_never_markup() {
        let texts = ["see your name".to_owned(), "<b>".to_owned()];
        assert_eq!(list(&texts), "<ul><li>see your name</li><li>&lt;b&gt;</li></ul>");
    }
}
