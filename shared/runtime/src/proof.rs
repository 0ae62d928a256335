//! Proofs that a client holds the key that its token is bound to (RFC 9449).

use crate::{App, Failure, Request};
use oauth::{
    Secret,
    dpop::{self, Presented, Proof},
};

/// The header of a proof (RFC 9449 section 4.1).
const HEADER: &str = "dpop";

impl Request {
    /// The proof of the request, checked and used up. None when there is none. `access_token` is the one that it came with, at
    /// a resource.
    pub async fn proof(&self, app: &App, access_token: Option<&Secret>) -> Result<Option<Proof>, Failure> {
        let mut sent = self.headers().get_all(HEADER).iter();
        let jwt = match (sent.next(), sent.next()) {
            (None, _) => return Ok(None),
            // RFC 9449 section 4.3, 1: not more than one.
            (Some(_), Some(_)) => return Err(Failure::Unproved),
            (Some(value), None) => value.to_str().map_err(|_| Failure::Unproved)?,
        };
        let url = format!("{}{}", app.settings.site_url, self.path());
        let presented = Presented { method: self.method().as_str(), url: &url, access_token, now: app.now() };
        let proof = dpop::verify(jwt, &presented).map_err(|_| Failure::Unproved)?;
        if app.store().await?.use_proof(&proof).await? { Ok(Some(proof)) } else { Err(Failure::Unproved) }
    }
}
