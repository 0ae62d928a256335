//! Clients and invitations.

use crate::{Field, Kind, Shape, optional, required};

/// The row.
pub const ID: Field = required("id", Kind::Integer).about("The row, from 1.");

/// The name.
pub const NAME: Field = required("name", Kind::AnyText);

/// The identifier of OAuth 2.0.
pub const CLIENT_ID: Field = required("clientId", Kind::AnyText).about("The `client_id` of OAuth 2.0.");

/// Where an invitation leads.
pub const INVITATION_URL: Field = required("invitationUrl", Kind::OrNull(&Kind::AnyText))
    .about("The link in invitations, with `CODE` where the code goes.");
const TEXTS: Kind = Kind::List(&Kind::AnyText, 10_000);

/// A client. All but the first four members are for super admins.
pub const CLIENT: Shape = Shape {
    name: "Client",
    fields: &[
        ID,
        NAME,
        CLIENT_ID,
        INVITATION_URL,
        optional("redirectUris", TEXTS),
        optional("grantTypes", TEXTS),
        optional("scopes", TEXTS),
        optional("tokenEndpointAuthMethod", Kind::AnyText).about("RFC 7591 section 2."),
        optional("jwks", Kind::OrNull(&Kind::Document)),
        optional("jwksUri", Kind::OrNull(&Kind::AnyText)),
        optional("skipAuthorization", Kind::Boolean),
        optional("resourceUri", Kind::OrNull(&Kind::AnyText)).about("What it is as a resource server (RFC 8707)."),
        optional("requirePushedAuthorizationRequests", Kind::Boolean).about("RFC 9126 section 6."),
        optional("wholeAccess", Kind::Boolean).about("Whether its tokens have all the access of their user."),
        optional("emailCode", Kind::Boolean).about("Whether its users type a code that is sent to them by e-mail."),
        optional("staticPkce", Kind::Boolean).about("Whether its apps answer to the deployment's fixed PKCE pair."),
        optional("postLogoutRedirectUris", TEXTS),
        optional("actsAs", Kind::OrNull(&Kind::Integer)).about("The account that it acts as by `client_credentials`."),
        optional("ownedBy", Kind::OrNull(&Kind::Integer)).about("The practitioner who made it for themself."),
        optional("created", Kind::OrNull(&Kind::Instant)),
        optional("clientSecret", Kind::AnyText).about("In the answer that made it, and nowhere else."),
    ],
};

/// An invitation, in the list of a patient's clients.
pub const CLIENT_INVITATION: Shape = Shape {
    name: "ClientInvitation",
    fields: &[
        required("id", Kind::Integer).about("From 101."),
        required("patientId", Kind::Integer),
        required("client_id", Kind::Integer).about("The client's row; written with an underscore."),
        required("tokenHash", Kind::AnyText).about("The SHA-256 of the token. Nothing takes it in place of the token."),
        required("token", Kind::OrNull(&Kind::AnyText)).about("Null: the token was shown once, or not at all."),
        required("status", Kind::OneOf(&INVITATION_STATUSES)),
        required("lastUpdated", Kind::Instant),
    ],
};

/// A client that a practitioner made for themself.
pub const OWN_CLIENT: Shape = Shape {
    name: "OwnClient",
    fields: &[
        ID,
        required("label", Kind::AnyText),
        required("created", Kind::OrNull(&Kind::Instant)),
        NAME,
        required("key", Kind::OrNull(&Kind::AnyText))
            .about("What goes after `Authorization: Basic`: in the answer that made it, and null afterwards."),
    ],
};

/// What an invitation can be.
pub const INVITATION_STATUSES: [&str; 4] = ["issued", "redeemed", "reissued", "cancelled"];

/// An invitation.
pub const INVITATION: Shape = Shape {
    name: "Invitation",
    fields: &[
        required("id", Kind::Integer).about("From 101."),
        required("patientId", Kind::Integer),
        required("client_id", Kind::Integer).about("The client's row; written with an underscore."),
        required("tokenHash", Kind::AnyText).about("The SHA-256 of the token. Nothing takes it in place of the token."),
        required("token", Kind::OrNull(&Kind::AnyText)).about("Null: the token was shown once, or not at all."),
        required("status", Kind::OneOf(&INVITATION_STATUSES)),
        required("lastUpdated", Kind::Instant),
        required("issuedBy", Kind::Integer).about("The account that issued it."),
        required("issuedAt", Kind::Instant),
        required("expiresAt", Kind::Instant),
        required("emailed", Kind::Boolean).about("Whether it was sent to the patient, and shown to nobody else."),
        required("redeemedAt", Kind::OrNull(&Kind::Instant)),
        optional("issuedFrom", Kind::AnyText).about("The network address; for the patient and super admins."),
        optional("redeemedFrom", Kind::AnyText).about("The network address; for the patient and super admins."),
    ],
};
