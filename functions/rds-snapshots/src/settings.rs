//! Of which database there are snapshots, where they are copied to, and how long they are kept.

use backup::Policy;
use runtime::{App, Failure};

/// The region of copies.
pub(crate) struct Second {
    pub region: String,
    /// The key there, by its ARN.
    pub key: String,
}

pub(crate) struct Settings {
    /// The instance.
    pub instance: String,
    pub second: Option<Second>,
    pub keep: Policy,
}

impl Settings {
    /// As the environment of the process says. None: there is no such instance.
    pub fn of(app: &App) -> Result<Option<Self>, Failure> {
        let set = |name: &str| app.variable(name).filter(|value| !value.is_empty());
        let Some(instance) = set("RDS_INSTANCE_ID") else { return Ok(None) };
        let second = match (set("RDS_COPY_REGION"), set("RDS_COPY_KEY_ARN")) {
            (Some(region), Some(key)) => Some(Second { region, key }),
            (None, None) => None,
            _ => return Err(Failure::Invalid("RDS_COPY_REGION and RDS_COPY_KEY_ARN: set both or neither".to_owned())),
        };
        let keep = Policy::of(set).map_err(|name| Failure::Invalid(format!("{name}: use a number")))?;
        Ok(Some(Self { instance, second, keep }))
    }
}
