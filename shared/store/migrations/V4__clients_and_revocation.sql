-- Clients: how each proves who it is and for whom it acts. Tokens that can be revoked and introspected one by one.

-- A client has one way to prove who it is (RFC 7591 section 2). `acts_as` is the practitioner's account for which a client
-- with the grant client_credentials gets tokens; `owned_by` is set for the clients that practitioners make for themselves.
-- The row of a client that was deleted stays: the audit names it.
ALTER TABLE oauth_client
  ADD COLUMN token_endpoint_auth_method text NOT NULL DEFAULT 'none',
  ADD COLUMN jwks jsonb,
  ADD COLUMN jwks_uri text,
  ADD COLUMN acts_as int,
  ADD COLUMN owned_by int,
  ADD COLUMN label text,
  ADD COLUMN created_at timestamptz,
  ADD COLUMN deleted_at timestamptz;
ALTER TABLE oauth_client ALTER COLUMN created_at SET DEFAULT clock_timestamp();
ALTER TABLE oauth_client ADD CONSTRAINT oauth_client_auth CHECK (
  CASE token_endpoint_auth_method
    WHEN 'none' THEN secret_hash IS NULL AND jwks IS NULL AND jwks_uri IS NULL
    WHEN 'client_secret_basic' THEN secret_hash IS NOT NULL AND jwks IS NULL AND jwks_uri IS NULL
    WHEN 'client_secret_post' THEN secret_hash IS NOT NULL AND jwks IS NULL AND jwks_uri IS NULL
    WHEN 'private_key_jwt' THEN secret_hash IS NULL AND (jwks IS NULL) <> (jwks_uri IS NULL)
    ELSE false
  END) NOT VALID;
ALTER TABLE oauth_client ADD CONSTRAINT oauth_client_credentials CHECK (
  ('client_credentials' = ANY (grant_types)) = (acts_as IS NOT NULL)
  AND (acts_as IS NULL OR token_endpoint_auth_method <> 'none')
  AND (owned_by IS NULL OR (owned_by = acts_as AND label IS NOT NULL))) NOT VALID;
ALTER TABLE oauth_client ADD CONSTRAINT oauth_client_acts_as FOREIGN KEY (acts_as) REFERENCES app_user NOT VALID;
ALTER TABLE oauth_client ADD CONSTRAINT oauth_client_owned_by FOREIGN KEY (owned_by) REFERENCES app_user NOT VALID;

-- The ids of client assertions that were used (RFC 7523 section 3, `jti`), until the assertions expire.
CREATE TABLE client_assertion (
  client_id  int NOT NULL REFERENCES oauth_client ON DELETE CASCADE,
  jti_hash   bytea NOT NULL CHECK (length(jti_hash) = 32),
  expires_at timestamptz NOT NULL,
  PRIMARY KEY (client_id, jti_hash)
);

-- Tokens that were issued before have no time of issue.
ALTER TABLE access_token ADD COLUMN issued_at timestamptz, ADD COLUMN revoked_at timestamptz;
ALTER TABLE access_token ALTER COLUMN issued_at SET DEFAULT clock_timestamp();
ALTER TABLE refresh_token ADD COLUMN issued_at timestamptz;
ALTER TABLE refresh_token ALTER COLUMN issued_at SET DEFAULT clock_timestamp();

GRANT SELECT, INSERT, DELETE ON client_assertion TO jhe_app;
GRANT UPDATE (revoked_at) ON access_token TO jhe_app;
GRANT INSERT (client_id, name, secret_hash, redirect_uris, grant_types, scopes, skip_authorization, invitation_url,
              token_endpoint_auth_method, jwks, jwks_uri, acts_as, owned_by, label) ON oauth_client TO jhe_app;
GRANT UPDATE (name, secret_hash, redirect_uris, grant_types, scopes, skip_authorization, invitation_url,
              token_endpoint_auth_method, jwks, jwks_uri, acts_as, deleted_at) ON oauth_client TO jhe_app;
