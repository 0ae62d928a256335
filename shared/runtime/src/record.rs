//! What a request leaves in the audit when no statement of its function wrote anything there.
//!
//! The statement that reads health data or people, or changes something, records that itself. Some requests have none: a
//! super admin reads what is no person's, a change is refused before it reaches the database. One place records them, for
//! every function, so that no function can forget. It costs one statement, for super admins and for what is refused. Who has
//! shown no valid token leaves nothing here, and who has is limited by their rate.

use crate::{App, Failure, Request, Response};
use audit::{Action, RefusedBy};
use http::StatusCode;
use store::{Ending, Leftover};

impl Request {
    /// Records how the request ended, unless it is on record or need not be. What a read found is answered only when its
    /// record is written; what was done is answered anyway, since its own statement recorded it.
    pub(crate) async fn recorded(
        &self,
        app: &App,
        function: &'static str,
        result: Result<Response, Failure>,
    ) -> Result<Response, Failure> {
        let status = result.as_ref().map_or_else(Failure::status, Response::status);
        let Some(ending) = self.ending(status, result.as_ref().err()) else { return result };
        let Err(failure) = self.leave(app, function, status, ending).await else { return result };
        if ending == Ending::Allowed && !self.reads() {
            failure.log();
            return result;
        }
        Err(failure)
    }

    /// How the request ended, if that is to be on record.
    fn ending(&self, status: StatusCode, failure: Option<&Failure>) -> Option<Ending> {
        let actor = self.known_caller()?;
        match status {
            // Nothing was shown, and nothing is changed but by a statement that records it.
            _ if status.is_server_error() => None,
            // Bad tokens are recorded where they are found. What comes too fast is refused so as to cost nothing.
            StatusCode::UNAUTHORIZED | StatusCode::TOO_MANY_REQUESTS => None,
            StatusCode::FORBIDDEN | StatusCode::NOT_FOUND => Some(Ending::Denied(refused_by(status, failure))),
            _ if status.is_client_error() => (actor.is_privileged() || !self.reads()).then_some(Ending::Failed),
            _ => actor.is_privileged().then_some(Ending::Allowed),
        }
    }

    fn reads(&self) -> bool {
        matches!(self.action(), Action::Read | Action::Search)
    }

    async fn leave(
        &self,
        app: &App,
        function: &'static str,
        status: StatusCode,
        ending: Ending,
    ) -> Result<(), Failure> {
        let context = self.audit(self.known_caller(), self.action(), self.subject());
        let id = self.id_variable::<i32>("id").ok().filter(|_| !matches!(ending, Ending::Denied(_)));
        let leftover = Leftover { function, status: i32::from(status.as_u16()), id, target: &self.named(), ending };
        Ok(app.store().await?.record_leftover(&context, &leftover).await?)
    }
}

/// The layer that refused, if one did.
fn refused_by(status: StatusCode, failure: Option<&Failure>) -> RefusedBy {
    match failure {
        Some(Failure::Refused(refusal)) => RefusedBy::Layer(refusal.layer),
        _ if status == StatusCode::NOT_FOUND => RefusedBy::NotFound,
        _ => RefusedBy::Invalid,
    }
}
