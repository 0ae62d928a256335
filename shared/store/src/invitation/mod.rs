//! Invitations: a coordinator lets a patient's app in.

mod issue;
mod read;
mod redeem;

pub use issue::{Issue, IssuedInvitation, NewInvitation, Rate};
pub use read::{Invitation, InvitationFilter, InvitationPage};
pub use redeem::{InvitationCode, Redemption};

pub(crate) use redeem::{OPEN_STATIC_CODE, REDEEMED_AS_CODE};
