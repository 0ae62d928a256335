-- What a token is bound to: its scopes, its client, its key.

-- Whether a token of the client that names no SMART scope has all the access of its user. For the operator's own clients,
-- by decision of the operator; false for every other.
ALTER TABLE oauth_client ADD COLUMN whole_access boolean NOT NULL DEFAULT false;

-- Where a browser may be sent after it signed out at the client's wish (OpenID Connect RP-Initiated Logout 1.0, 3.1).
ALTER TABLE oauth_client ADD COLUMN post_logout_redirect_uris text[] NOT NULL DEFAULT '{}';
