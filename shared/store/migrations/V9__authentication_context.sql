-- How the person signed in who gave a grant, as in RFC 8176. Empty: an invitation's token, a client by itself, or an identity
-- provider that does not say.
ALTER TABLE oauth_grant ADD COLUMN methods text[] NOT NULL DEFAULT '{}';
