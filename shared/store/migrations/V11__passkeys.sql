-- Passkeys (Web Authentication Level 3), and sign-ins of single sign-on that wait for a second step here.

-- By what authenticators know an account: random, so that one that somebody finds tells nothing.
CREATE TABLE passkey_owner (
  user_id int PRIMARY KEY REFERENCES app_user ON DELETE CASCADE,
  handle  bytea NOT NULL UNIQUE CHECK (length(handle) = 32)
);

CREATE TABLE passkey (
  id              int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  user_id         int NOT NULL REFERENCES passkey_owner ON DELETE CASCADE,
  credential_id   bytea NOT NULL UNIQUE CHECK (length(credential_id) BETWEEN 1 AND 1023),
  public_key      bytea NOT NULL,
  use_count       bigint NOT NULL CHECK (use_count BETWEEN 0 AND 4294967295), -- as the authenticator counts
  backup_eligible boolean NOT NULL, -- may be on several devices
  backed_up       boolean NOT NULL, -- is
  name            text NOT NULL,
  created_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
  last_used_at    timestamptz
);
CREATE INDEX passkey_user ON passkey (user_id);

-- A challenge that waits for its answer: one for each browser, session or open second step, and used once.
CREATE TABLE passkey_challenge (
  binding_hash   bytea NOT NULL CHECK (length(binding_hash) = 32),
  purpose        text NOT NULL CHECK (purpose IN ('register', 'sign_in', 'second_step')),
  challenge_hash bytea NOT NULL CHECK (length(challenge_hash) = 32),
  expires_at     timestamptz NOT NULL,
  PRIMARY KEY (binding_hash, purpose)
);
CREATE INDEX passkey_challenge_expires ON passkey_challenge (expires_at);

-- How the first step was done (RFC 8176); and, where an identity provider did it, whose session it is there and when that ends.
ALTER TABLE login_challenge ADD COLUMN methods text[] NOT NULL DEFAULT '{pwd}';
ALTER TABLE login_challenge ADD COLUMN person jsonb;
ALTER TABLE login_challenge ADD COLUMN ends_at timestamptz;
ALTER TABLE login_challenge ADD COLUMN authenticated_at timestamptz;

GRANT SELECT, INSERT ON passkey_owner TO jhe_app;
GRANT SELECT, DELETE, UPDATE (use_count, backed_up, last_used_at) ON passkey TO jhe_app;
GRANT INSERT (user_id, credential_id, public_key, use_count, backup_eligible, backed_up, name) ON passkey TO jhe_app;
GRANT SELECT, INSERT, DELETE, UPDATE (challenge_hash, expires_at) ON passkey_challenge TO jhe_app;
GRANT USAGE ON SEQUENCE passkey_id_seq TO jhe_app;
