-- Accounts: sessions that can be listed and ended, throttling by account and address, links by e-mail, and second factors.

-- Sessions: a session that was not used for a while ends (NIST SP 800-63B section 2.2.3). Rows of before count as never used.
ALTER TABLE login_session ADD COLUMN last_used_at timestamptz NOT NULL DEFAULT '-infinity';
ALTER TABLE login_session ALTER COLUMN last_used_at SET DEFAULT clock_timestamp();
ALTER TABLE login_session ADD COLUMN browser text NOT NULL DEFAULT ''; -- 'Firefox on Linux', for the list of sessions
ALTER TABLE login_session ADD COLUMN methods text[] NOT NULL DEFAULT '{pwd}'; -- as in RFC 8176

-- Failures are counted under three keys: the pair of account and address, the account, the address. The key is a hash. From a
-- pair with a success an account's own user comes: what others do elsewhere does not make them wait.
ALTER TABLE login_failure ADD COLUMN succeeded boolean NOT NULL DEFAULT false;

-- A link that was sent by e-mail: to choose a new password, or to choose the first one.
CREATE TABLE account_link (
  token_hash bytea PRIMARY KEY CHECK (length(token_hash) = 32),
  user_id    int NOT NULL REFERENCES app_user ON DELETE CASCADE,
  purpose    text NOT NULL CHECK (purpose IN ('reset', 'sign_up')),
  expires_at timestamptz NOT NULL,
  used_at    timestamptz
);
CREATE INDEX account_link_user ON account_link (user_id);
ALTER TABLE app_user ADD COLUMN email_verified_at timestamptz;

-- A sign-in whose password was right and whose second step is open. It is no session.
CREATE TABLE login_challenge (
  token_hash bytea PRIMARY KEY CHECK (length(token_hash) = 32),
  user_id    int NOT NULL REFERENCES app_user ON DELETE CASCADE,
  expires_at timestamptz NOT NULL
);
CREATE INDEX login_challenge_user ON login_challenge (user_id);

-- A TOTP authenticator (RFC 6238). The secret is encrypted with a key that the database does not have.
CREATE TABLE totp_factor (
  user_id      int PRIMARY KEY REFERENCES app_user ON DELETE CASCADE,
  secret       bytea NOT NULL,
  confirmed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  last_step    bigint NOT NULL -- a code of this step or an earlier one was used
);

CREATE TABLE recovery_code (
  user_id   int NOT NULL REFERENCES app_user ON DELETE CASCADE,
  code_hash bytea NOT NULL CHECK (length(code_hash) = 32),
  used_at   timestamptz,
  PRIMARY KEY (user_id, code_hash)
);

ALTER TABLE organization ADD COLUMN requires_second_factor boolean NOT NULL DEFAULT false;

-- A one-time code by e-mail, which some clients ask for after the sign-in. It belongs to one session.
ALTER TABLE oauth_client ADD COLUMN email_code boolean NOT NULL DEFAULT false;
CREATE TABLE email_code (
  session_hash bytea PRIMARY KEY REFERENCES login_session (token_hash) ON DELETE CASCADE,
  code_hash    bytea NOT NULL CHECK (length(code_hash) = 32),
  tries        int NOT NULL DEFAULT 0,
  expires_at   timestamptz NOT NULL
);

GRANT UPDATE (password_hash, email_verified_at, last_updated) ON app_user TO jhe_app;
GRANT SELECT, INSERT, UPDATE (used_at) ON account_link TO jhe_app;
GRANT SELECT, INSERT, DELETE ON login_challenge TO jhe_app;
GRANT SELECT, INSERT, DELETE, UPDATE (secret, confirmed_at, last_step) ON totp_factor TO jhe_app;
GRANT SELECT, INSERT, DELETE, UPDATE (used_at) ON recovery_code TO jhe_app;
GRANT SELECT, INSERT, DELETE, UPDATE (code_hash, tries, expires_at) ON email_code TO jhe_app;
