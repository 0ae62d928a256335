-- Invitations: sent by e-mail, listed, cancelled and issued again; and apps that know only one fixed PKCE pair.

-- An app that has the deployment's one code verifier built in (PATIENT_AUTHORIZATION_CODE_VERIFIER). It protects nothing
-- that anybody with the app does not know, so each such client is set by hand.
ALTER TABLE oauth_client ADD COLUMN static_pkce boolean NOT NULL DEFAULT false;

ALTER TABLE invitation
  ADD COLUMN emailed boolean NOT NULL DEFAULT false, -- the exchange sends it; nobody but the patient is shown the token
  ADD COLUMN issued_from text, -- the network address of whoever issued it
  ADD COLUMN redeemed_from text; -- and of whoever redeemed it last

GRANT UPDATE (redeemed_from) ON invitation TO jhe_app;
