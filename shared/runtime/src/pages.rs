//! The frame of the server-rendered pages.

use http::StatusCode;

/// Nothing but this origin's own style, no script, no frame. There is no `form-action`: browsers apply it to the
/// redirects after a form too, and those lead to redirect URIs of any scheme (RFC 8252 section 7.1).
pub const POLICY: &str =
    "default-src 'none'; style-src 'unsafe-inline'; img-src 'self' data:; base-uri 'none'; frame-ancestors 'none'";

const STYLE: &str = "
:root { color-scheme: light dark; --accent: #0b6e6e; --line: #c5ccd3; --bad: #a4262c }
* { box-sizing: border-box }
body { margin: 0; font: 1rem/1.5 system-ui, sans-serif; display: grid; min-height: 100vh; place-items: center; padding: 1rem }
main { width: 100%; max-width: 24rem; border: 1px solid var(--line); border-radius: .75rem; padding: 2rem }
h1 { font-size: 1.35rem; margin: 0 0 .25rem } p { margin: .25rem 0 1rem }
label { display: block; font-weight: 600; margin-top: 1rem }
input { width: 100%; font: inherit; padding: .6rem .7rem; border: 1px solid var(--line); border-radius: .4rem }
button { width: 100%; margin-top: 1.5rem; font: inherit; font-weight: 600; padding: .7rem; border: 0; border-radius: .4rem; background: var(--accent); color: #fff; cursor: pointer }
a.button { display: block; margin-top: .75rem; padding: .7rem; text-align: center; border: 1px solid var(--line); border-radius: .4rem; color: inherit; font-weight: 600; text-decoration: none }
button.quiet { background: none; color: inherit; border: 1px solid var(--line); margin-top: .75rem }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px }
[role=alert] { border-left: 4px solid var(--bad); padding: .5rem .75rem; background: color-mix(in srgb, var(--bad) 10%, transparent) }
footer { margin-top: 1.5rem; font-size: .85rem; opacity: .8 }
";

/// A page with a title and a body of trusted HTML.
#[must_use]
pub fn page(title: &str, body: &str) -> String {
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <title>{title} - JupyterHealth Exchange</title><style>{STYLE}</style></head>\
         <body><main><h1>{title}</h1>{body}<footer>JupyterHealth Exchange</footer></main></body></html>\n",
        title = escape(title),
    )
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
    page(title, &format!("<p role=\"alert\">{}</p>", escape(detail)))
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
