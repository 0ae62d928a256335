-- What a token is bound to: its scopes, its client, its key.

-- Whether a token of the client that names no SMART scope has all the access of its user. For the operator's own clients,
-- by decision of the operator; false for every other.
ALTER TABLE oauth_client ADD COLUMN whole_access boolean NOT NULL DEFAULT false;

-- Where a browser may be sent after it signed out at the client's wish (OpenID Connect RP-Initiated Logout 1.0, 3.1).
ALTER TABLE oauth_client ADD COLUMN post_logout_redirect_uris text[] NOT NULL DEFAULT '{}';

GRANT INSERT (whole_access, post_logout_redirect_uris), UPDATE (whole_access, post_logout_redirect_uris) ON oauth_client TO jhe_app;

-- The thumbprint of the key that a code or a token is bound to (RFC 9449 sections 5, 6 and 10).
ALTER TABLE oauth_code ADD COLUMN dpop_jkt text;
ALTER TABLE access_token ADD COLUMN dpop_jkt text;
ALTER TABLE refresh_token ADD COLUMN dpop_jkt text;

-- The ids of proofs that were used (RFC 9449 section 11.1), until the proofs expire.
CREATE TABLE dpop_proof (
  id_hash    bytea PRIMARY KEY CHECK (length(id_hash) = 32),
  expires_at timestamptz NOT NULL
);
CREATE INDEX dpop_proof_end ON dpop_proof (expires_at);
GRANT SELECT, INSERT, DELETE, UPDATE (expires_at) ON dpop_proof TO jhe_app; -- the update right is for row locks
