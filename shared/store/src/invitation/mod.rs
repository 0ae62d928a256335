//! Invitations: a coordinator lets a patient's app in.
//!
//! An invitation is of the organizations through which it was issued (`invitation_organization`). Who works in one of them,
//! while the patient belongs to it, sees it and manages it; who works in another organization of the patient does not.

mod issue;
mod read;
mod redeem;
mod shown;

pub use issue::{InvitationOf, Issue, IssuedInvitation, NewInvitation, Rate};
pub use read::{Invitation, InvitationFilter, InvitationPage};
pub use redeem::{InvitationCode, Redemption};

/// Whether the reader may see the invitation `i`: 1 to 3 the reader. True, or false or null: what negates it writes `IS NOT TRUE`.
pub(crate) const VISIBLE: &str = "
($3 OR i.patient_id = $2
 OR EXISTS (SELECT FROM invitation_organization x
              JOIN patient_organization o ON o.organization_id = x.organization_id AND o.patient_id = i.patient_id
              JOIN organization_member m ON m.organization_id = x.organization_id
             WHERE x.invitation_id = i.id AND m.practitioner_id = $1))";

pub(crate) use issue::PATIENT_IN_TURN;
pub(crate) use redeem::{OPEN_STATIC_CODE, REDEEMED_AS_CODE};
pub(crate) use shown::{CANCELLED, CANCELLED_FOR, cancel_shown, end_shown_to};
