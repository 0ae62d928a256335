//! Second factors: time-based codes of an app (RFC 6238), recovery codes, and one-time codes by e-mail.

mod codes;
mod totp;

pub use codes::{EMAIL_CODE_TRIES, EmailCode, RECOVERY_CODES, RecoveryCode};
pub use totp::{FactorKey, Step, TotpSecret};
