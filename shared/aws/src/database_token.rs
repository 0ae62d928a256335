//! Passwords for a database that IAM guards: a request to `rds-db` that is signed and never sent (Amazon RDS user guide,
//! "IAM database authentication").

use crate::{Missing, presigned::signed};
use aws_credential_types::Credentials;
use aws_smithy_runtime_api::client::identity::Identity;
use secrecy::SecretString;
use std::{error::Error, time::Duration, time::SystemTime};

/// How long a token opens connections: the longest that RDS takes. A connection that is open stays open.
pub const TOKEN_LIFETIME: Duration = Duration::from_mins(15);

/// Makes tokens for one user of one database.
#[derive(Debug)]
pub struct DatabaseTokens {
    identity: Identity,
    region: String,
    /// Where the request would go: the database, and what is asked of it.
    address: String,
}

impl DatabaseTokens {
    /// For the user of the database at a host and port, with the credentials and the region that the environment names: see
    /// [`crate::configuration`].
    pub fn new(lookup: impl Fn(&str) -> Option<String>, host: &str, port: u16, user: &str) -> Result<Self, Missing> {
        let credentials: Credentials = crate::credentials(&lookup)?;
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.append_pair("Action", "connect").append_pair("DBUser", user);
        Ok(Self {
            identity: credentials.into(),
            region: crate::region(&lookup)?,
            address: format!("https://{host}:{port}/?{}", query.finish()),
        })
    }

    /// A password that opens connections from `now` on for [`TOKEN_LIFETIME`].
    pub fn token(&self, now: SystemTime) -> Result<SecretString, Box<dyn Error + Send + Sync>> {
        let address = self.address.clone();
        let signed = signed(&self.identity, &self.region, "rds-db", address, TOKEN_LIFETIME, now)?;
        Ok(signed.trim_start_matches("https://").into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signature::example;
    use aws_sdk_rds::auth_token::{AuthTokenGenerator, Config};
    use aws_smithy_async::time::StaticTimeSource;
    use aws_types::region::Region;
    use secrecy::ExposeSecret;

    const SESSION: Option<&str> = Some("session/token+with=signs");

    #[tokio::test]
    async fn a_token_is_the_one_that_the_sdk_makes() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_hours(500_000);
        let (host, user) = ("jhe.proxy-abc.eu-central-1.rds.amazonaws.com", "jhe_app");
        let config = Config::builder().hostname(host).port(5432).username(user).region(Region::new("eu-central-1"));
        let sdk = crate::configuration(example(SESSION), Duration::from_secs(1)).unwrap().into_builder();
        let sdk = sdk.time_source(StaticTimeSource::new(now)).build();
        let expected = AuthTokenGenerator::new(config.build().unwrap()).auth_token(&sdk).await.unwrap();
        let token = DatabaseTokens::new(example(SESSION), host, 5432, user).unwrap().token(now).unwrap();
        assert_eq!(token.expose_secret(), expected.as_str());
    }

    #[test]
    fn a_token_shows_no_secret_and_is_another_one_later() {
        let tokens = DatabaseTokens::new(example(SESSION), "db", 5432, "jhe_app").unwrap();
        let now = SystemTime::UNIX_EPOCH + Duration::from_hours(500_000);
        let (first, second) = (tokens.token(now).unwrap(), tokens.token(now + Duration::from_secs(1)).unwrap());
        assert_ne!(first.expose_secret(), second.expose_secret());
        assert!(first.expose_secret().starts_with("db:5432/?Action=connect&DBUser=jhe_app&"));
        assert!(!format!("{tokens:?}{}", first.expose_secret()).contains("wJalrXUtnFEMI"));
    }

    #[test]
    fn what_a_users_name_holds_is_no_part_of_the_query() {
        let tokens = DatabaseTokens::new(example(SESSION), "db", 5432, "a&Action=b").unwrap();
        let token = tokens.token(SystemTime::UNIX_EPOCH).unwrap();
        assert!(token.expose_secret().starts_with("db:5432/?Action=connect&DBUser=a%26Action%3Db&"));
    }
}
