//! What can go wrong with the database.

use deadpool_postgres::PoolError;
use tokio_postgres::error::SqlState;

/// A failure of the database or of a statement. The text never holds a value of a row or a parameter.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database cannot be reached, is starting, or the connection broke: try again later.
    #[error("the database is not available")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The statement ran longer than its timeout.
    #[error("the statement took too long")]
    Timeout,
    /// Another transaction was in the way (deadlock, serialization): the same request can be sent again.
    #[error("the transaction met another")]
    Contention,
    /// A unique key already has this value; names the constraint.
    #[error("duplicate key ({0})")]
    Duplicate(String),
    /// PostgreSQL cannot store this value (a NUL character, a number out of range).
    #[error("a value cannot be stored")]
    Unstorable,
    /// A row holds something that this version does not understand.
    #[error("unexpected content of column {0}")]
    Corrupt(&'static str),
    /// The keys with which payloads are encrypted cannot be had: nothing of them is read or written.
    #[error("the keys of payloads cannot be had")]
    Keys(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Any other refusal by the database: a defect of ours.
    #[error("the database refused the statement (SQLSTATE {0})")]
    Refused(String),
    /// A failure of the driver.
    #[error("the database driver failed")]
    Driver(#[source] tokio_postgres::Error),
}

impl From<tokio_postgres::Error> for StoreError {
    fn from(error: tokio_postgres::Error) -> Self {
        if let Some(database) = error.as_db_error() {
            let code = database.code().clone();
            let constraint = database.constraint().map(str::to_owned);
            return from_sqlstate(&code, constraint, error);
        }
        if error.is_closed() || is_io(&error) {
            return Self::Unavailable(Box::new(error));
        }
        Self::Driver(error)
    }
}

/// The login has not the right to do it, or a trigger says so.
pub(crate) fn is_refused_by_right(error: &tokio_postgres::Error) -> bool {
    error.code() == Some(&SqlState::INSUFFICIENT_PRIVILEGE)
}

/// A foreign key does not hold.
pub(crate) fn refers_to_nothing(error: &tokio_postgres::Error) -> bool {
    error.code() == Some(&SqlState::FOREIGN_KEY_VIOLATION)
}

fn from_sqlstate(code: &SqlState, constraint: Option<String>, error: tokio_postgres::Error) -> StoreError {
    let class = code.code().get(..2).unwrap_or_default();
    if *code == SqlState::UNIQUE_VIOLATION {
        StoreError::Duplicate(constraint.unwrap_or_default())
    } else if *code == SqlState::QUERY_CANCELED || *code == SqlState::LOCK_NOT_AVAILABLE {
        StoreError::Timeout
    } else if class == "40" {
        StoreError::Contention
    } else if class == "22" {
        StoreError::Unstorable
    } else if matches!(class, "08" | "53" | "57") {
        StoreError::Unavailable(Box::new(error))
    } else {
        StoreError::Refused(code.code().to_owned())
    }
}

/// True when the driver failed because the socket did.
fn is_io(error: &tokio_postgres::Error) -> bool {
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        if cause.is::<std::io::Error>() {
            return true;
        }
        source = cause.source();
    }
    false
}

impl From<PoolError> for StoreError {
    fn from(error: PoolError) -> Self {
        match error {
            // A wrong password or a missing database is also "not available" to whoever asks.
            PoolError::Backend(inner) => match Self::from(inner) {
                Self::Refused(_) | Self::Driver(_) => Self::Unavailable("connection refused".into()),
                known => known,
            },
            other => Self::Unavailable(Box::new(other)),
        }
    }
}
