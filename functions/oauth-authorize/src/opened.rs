//! When a request was opened. The time goes with the person through sign-in and consent in the address, signed, because
//! `max_age` is judged by it (OpenID Connect Core 1.0 section 3.1.2.1): who reads what they are asked to agree to for longer
//! than that would have to sign in again each time.

use jiff::Timestamp;
use oauth::authorize::Authorization;
use runtime::{App, Failure, Request, browser::field};

/// The parameter, and the purpose of its signature.
const PARAMETER: &str = "opened";

/// Keeps when the request was opened, if it depends on it: the time in the address, or now.
pub(crate) async fn keep(app: &App, request: &Request, authorization: &mut Authorization) -> Result<(), Failure> {
    if authorization.depends_on_time() {
        let now = app.now();
        let kept = read(app, request, authorization).await?;
        if !kept.is_some_and(|at| authorization.opened(at, now)) {
            authorization.opened(now, now);
        }
    }
    Ok(())
}

/// The query of the way back to the request.
pub(crate) async fn query(app: &App, authorization: &Authorization) -> Result<String, Failure> {
    let query = authorization.query_after_login();
    match authorization.opened_at().filter(|_| authorization.depends_on_time()) {
        None => Ok(query),
        Some(at) => {
            let token = app.form_key().await?.issue(PARAMETER, &signed(at, &query))?;
            Ok(format!("{query}&{PARAMETER}={}.{token}", at.as_millisecond()))
        }
    }
}

/// The time in the address. It counts for the request that it was signed for, and for no other.
async fn read(app: &App, request: &Request, authorization: &Authorization) -> Result<Option<Timestamp>, Failure> {
    let asked = request.query()?;
    let Some((time, token)) = field(&asked, PARAMETER).and_then(|text| text.split_once('.')) else { return Ok(None) };
    let Some(at) = time.parse().ok().and_then(|time| Timestamp::from_millisecond(time).ok()) else { return Ok(None) };
    let is_ours = app.form_key().await?.verify(PARAMETER, &signed(at, &authorization.query_after_login()), token);
    Ok(Some(at).filter(|_| is_ours))
}

fn signed(at: Timestamp, query: &str) -> String {
    format!("{}\n{query}", at.as_millisecond())
}
