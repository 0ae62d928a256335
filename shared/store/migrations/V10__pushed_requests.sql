-- What clients ask for before anybody signs in, what their tokens are for, and who is known elsewhere.

-- Whether a client's authorization requests count only when they are pushed (RFC 9126 section 6).
ALTER TABLE oauth_client ADD COLUMN require_pushed_requests boolean NOT NULL DEFAULT false;
GRANT INSERT (require_pushed_requests), UPDATE (require_pushed_requests) ON oauth_client TO jhe_app;

-- Requests that clients pushed (RFC 9126), by the hash of the reference that the browser brings. A request goes when it is
-- answered or its time is over.
CREATE TABLE pushed_request (
  reference_hash bytea PRIMARY KEY CHECK (length(reference_hash) = 32),
  client_id      int NOT NULL REFERENCES oauth_client ON DELETE CASCADE,
  parameters     text NOT NULL,
  opened_at      timestamptz, -- when a browser first brought the reference
  expires_at     timestamptz NOT NULL
);
CREATE INDEX pushed_request_end ON pushed_request (expires_at);
GRANT SELECT, INSERT, DELETE, UPDATE (opened_at, expires_at) ON pushed_request TO jhe_app;

-- What a token is for (RFC 8707). A client that has a URI serves resources: others name it by that, and it may introspect what is
-- for it.
ALTER TABLE oauth_client ADD COLUMN resource_uri text;
ALTER TABLE oauth_grant ADD COLUMN audience text[] NOT NULL DEFAULT '{}'; -- '{}': this server
ALTER TABLE access_token ADD COLUMN audience text[] NOT NULL DEFAULT '{}'; -- of the grant's
GRANT INSERT (resource_uri), UPDATE (resource_uri) ON oauth_client TO jhe_app;

-- Practitioners as other providers call them, for token exchange (RFC 8693). Only the database's owner links an account.
CREATE TABLE linked_person (
  issuer  text NOT NULL,
  name    text NOT NULL,
  user_id int NOT NULL REFERENCES app_user ON DELETE CASCADE,
  PRIMARY KEY (issuer, name)
);
CREATE INDEX linked_person_user ON linked_person (user_id);
GRANT SELECT ON linked_person TO jhe_app;
