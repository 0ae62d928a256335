-- What holds for every route: a request that is sent twice is carried out once, and nobody sends more than their share.

-- A POST with an Idempotency-Key (draft-ietf-httpapi-idempotency-key-header): claimed before it is carried out, answered from here
-- when it comes again within a day. The key is stored as its SHA-256 only. The answer is encrypted with a key that is made of a
-- secret of the functions and of the key itself, so neither the database nor the functions' secret opens it alone.
CREATE TABLE idempotency_key (
  user_id     int NOT NULL REFERENCES app_user ON DELETE CASCADE,
  client_id   int NOT NULL REFERENCES oauth_client ON DELETE CASCADE,
  key_hash    bytea NOT NULL CHECK (length(key_hash) = 32),
  fingerprint bytea NOT NULL CHECK (length(fingerprint) = 32), -- of what was asked
  claimed_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
  request_id  text NOT NULL,
  audit_after bigint NOT NULL, -- the records of the request come after this one
  finished_at timestamptz, -- NULL: it is being carried out, or its end is not known
  answer      bytea, -- NULL when it is too large to keep
  audit_ids   bigint[] NOT NULL DEFAULT '{}', -- what the audit has of the request: whose data is in the answer
  PRIMARY KEY (user_id, client_id, key_hash)
);
CREATE INDEX idempotency_key_end ON idempotency_key (claimed_at);
GRANT SELECT, INSERT, UPDATE, DELETE ON idempotency_key TO jhe_app;

-- How much of its share a user has spent with a client: it is spent until that time. A process takes many requests at once, so
-- few requests write here. After a crash of the server the table is empty, and everybody starts anew: it needs no log.
CREATE UNLOGGED TABLE rate_limit (
  user_id     int NOT NULL,
  client_id   int NOT NULL,
  spent_until timestamptz NOT NULL,
  PRIMARY KEY (user_id, client_id)
);
GRANT SELECT, INSERT, UPDATE, DELETE ON rate_limit TO jhe_app;
