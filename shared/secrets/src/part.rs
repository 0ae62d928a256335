//! What of the secrets is kept apart.

/// Secrets that are used together. In Secrets Manager each part can be a secret of its own, so that a function may read what it
/// uses and nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The keys of links and forms.
    Application,
    /// The login of the database, where it has a password.
    Database,
    /// What `CloudFront` says to prove that a request came through it.
    Origin,
    /// The key of second factors.
    Factors,
    /// The password at the SMTP server.
    Mail,
    /// The key that signs requests for single sign-on.
    SingleSignOn,
    /// The key that wraps the keys of patients.
    Payloads,
}

impl Part {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Application,
        Self::Database,
        Self::Origin,
        Self::Factors,
        Self::Mail,
        Self::SingleSignOn,
        Self::Payloads,
    ];

    /// The variable that names the part's secret in Secrets Manager. What is not named is in that of the application.
    #[must_use]
    pub const fn variable(self) -> &'static str {
        match self {
            Self::Application => "SECRET_ARN",
            Self::Database => "DB_SECRET_ARN",
            Self::Origin => "ORIGIN_SECRET_ARN",
            Self::Factors => "FACTOR_SECRET_ARN",
            Self::Mail => "MAIL_SECRET_ARN",
            Self::SingleSignOn => "SAML_SECRET_ARN",
            Self::Payloads => "PAYLOAD_SECRET_ARN",
        }
    }
}
