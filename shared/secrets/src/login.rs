//! A login of the database, as RDS Proxy wants it in a secret: `username` and `password`, and beside them the role whose rights it has.

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::SecretsError;

/// A login of the database.
#[derive(Debug, Deserialize)]
pub struct Login {
    /// The user.
    pub username: String,
    /// The password.
    pub password: SecretString,
    /// Whose rights it has. The role of all functions, unless the secret says another.
    #[serde(default = "of_all")]
    pub role: String,
}

fn of_all() -> String {
    "jhe_app".to_owned()
}

impl Login {
    /// Reads the text of such a secret.
    pub fn parse(text: &SecretString) -> Result<Self, SecretsError> {
        let login: Self = serde_json::from_str(text.expose_secret()).map_err(|_| SecretsError::LoginShape)?;
        if login.password.expose_secret().is_empty() { Err(SecretsError::Empty("password")) } else { Ok(login) }
    }

    /// The text of a secret with another password. What else is in it stays.
    pub fn with_password(text: &SecretString, password: &str) -> Result<SecretString, SecretsError> {
        Self::parse(text)?;
        let fields = serde_json::from_str(text.expose_secret()).map_err(|_| SecretsError::LoginShape)?;
        let mut fields: Map<String, Value> = fields;
        fields.insert("password".to_owned(), password.into());
        Ok(Value::Object(fields).to_string().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_password_is_another_one() {
        let text = r#"{"username":"jhe_functions","password":"first","engine":"postgres"}"#.into();
        let changed = Login::with_password(&text, "second").unwrap();
        let fields: Value = serde_json::from_str(changed.expose_secret()).unwrap();
        let expected = serde_json::json!({ "username": "jhe_functions", "password": "second", "engine": "postgres" });
        assert_eq!(fields, expected);
        let login = Login::parse(&changed).unwrap();
        assert_eq!((login.username.as_str(), login.role.as_str()), ("jhe_functions", "jhe_app"));
        let of_group = Login::parse(&r#"{"username":"u","password":"p","role":"jhe_fhir_read"}"#.into()).unwrap();
        assert_eq!(of_group.role, "jhe_fhir_read");
    }

    #[test]
    fn what_is_no_login_is_refused_without_quoting_it() {
        for text in ["", "pw-1", r#""pw-1""#, r#"{"username":"pw-1"}"#, r#"{"username":{},"password":"pw-1"}"#] {
            let error = Login::parse(&text.into()).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("pw-1"), "{text}");
        }
        let empty = r#"{"username":"u","password":""}"#.into();
        assert!(matches!(Login::parse(&empty), Err(SecretsError::Empty("password"))));
    }
}
