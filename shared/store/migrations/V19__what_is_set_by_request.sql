-- What the owner of the database set by hand is set by requests: who needs a second factor, and two ways of clients. And a
-- person takes back a part of what an app was allowed.
GRANT UPDATE (requires_second_factor) ON organization TO jhe_app;
GRANT UPDATE (scope) ON oauth_grant TO jhe_app;
GRANT INSERT (email_code, static_pkce), UPDATE (email_code, static_pkce) ON oauth_client TO jhe_app;
