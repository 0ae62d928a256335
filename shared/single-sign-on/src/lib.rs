//! What the functions of single sign-on share: the settings, the identity provider's metadata, this service provider's
//! key, and the cookie of a request that waits for its answer. The protocol itself is in the crate `saml`.

mod browser;
mod settings;
mod source;

pub use browser::{Purpose, clear_pending, pending, set_pending};
pub use settings::Settings;
pub use source::MetadataError;

use audit::{Context, RefusedBy};
use jiff::Timestamp;
use runtime::{App, Failure, Part, SetupError};
use saml::{IdentityProvider, ServiceProvider, SigningError, SigningKey};
use source::Source;
use std::{sync::Arc, time::Instant};
use tokio::sync::OnceCell;

/// What a person is told when their organization's message is not believed or does not help. Why is in the audit.
const REFUSED: &str = "Your organization's account could not be used. Please start again from the sign-in page. If it \
                       happens again, ask your administrator.";

/// Single sign-on, as this process has it.
pub struct SingleSignOn {
    /// The settings.
    pub settings: Settings,
    source: Source,
    key: OnceCell<SigningKey>,
}

impl SingleSignOn {
    /// Single sign-on, if the deployment has it; without it, its pages do not exist.
    pub fn of(app: &App) -> Result<Arc<Self>, Failure> {
        app.part(|| {
            let settings = Settings::from_env(|name| app.variable(name), &app.settings.site_url)
                .map_err(|error| Failure::from(SetupError::Config(error)))?
                .ok_or(Failure::NotFound)?;
            Ok(Self { source: Source::new(settings.source.clone()), settings, key: OnceCell::new() })
        })
    }

    /// The identity provider, by its metadata.
    pub async fn identity_provider(&self, now: Timestamp) -> Result<Arc<IdentityProvider>, Failure> {
        self.source.get(now, Instant::now()).await.map_err(|error| Failure::Unavailable(Box::new(error)))
    }

    /// This service provider, with its key.
    pub async fn provider(&self, app: &App) -> Result<ServiceProvider<'_>, Failure> {
        let key = self.key.get_or_try_init(|| async {
            let secrets = app.secrets(Part::SingleSignOn).await?;
            let pem = secrets.saml_key.as_ref().ok_or_else(|| unusable(SigningError::Key))?;
            SigningKey::from_pem(pem).map_err(unusable)
        });
        Ok(ServiceProvider {
            entity_id: &self.settings.entity_id,
            acs_url: &self.settings.acs_url,
            logout_redirect_url: &self.settings.logout_redirect_url,
            logout_post_url: &self.settings.logout_post_url,
            key: key.await?,
        })
    }
}

/// A defect of the deployment.
#[must_use]
pub fn unusable(error: SigningError) -> Failure {
    Failure::Internal(Box::new(error))
}

/// Records why the identity provider's message, or the person it names, was refused, and gives the answer.
pub async fn refuse(app: &App, context: &Context, refused_by: RefusedBy, reason: &str) -> Result<Failure, Failure> {
    app.store().await?.record_refused_message(context, refused_by, reason).await?;
    Ok(Failure::Forbidden(REFUSED))
}
