-- Single sign-on: which session an identity provider started, and which of its messages were used.

-- The name that the identity provider gave the person of a session, so that either side can end it.
CREATE TABLE linked_session (
  token_hash        bytea PRIMARY KEY REFERENCES login_session ON UPDATE CASCADE ON DELETE CASCADE,
  issuer            text NOT NULL,
  name_id           text NOT NULL,
  name_format       text,
  name_qualifier    text,
  sp_name_qualifier text,
  session_index     text
);
CREATE INDEX linked_session_name ON linked_session (name_id, issuer);

-- A message counts once. Its hash is kept until no clock takes the message any more.
CREATE TABLE used_message (
  id_hash   bytea PRIMARY KEY CHECK (length(id_hash) = 32),
  lapses_at timestamptz NOT NULL
);
CREATE INDEX used_message_lapses ON used_message (lapses_at);

GRANT SELECT, INSERT ON linked_session TO jhe_app;
GRANT SELECT, INSERT, DELETE ON used_message TO jhe_app;

-- The only way in which a function makes a practitioner: an account without password and without any organization.
-- NULL when the address has an account already.
CREATE FUNCTION create_practitioner(new_email text, new_first_name text, new_last_name text)
RETURNS int LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  created int;
BEGIN
  INSERT INTO app_user (email, first_name, last_name, user_type)
  VALUES (new_email, new_first_name, new_last_name, 'practitioner')
  ON CONFLICT (lower(email)) DO NOTHING
  RETURNING id INTO created;
  IF created IS NOT NULL THEN
    INSERT INTO practitioner (user_id) VALUES (created);
  END IF;
  RETURN created;
END
$$;
REVOKE ALL ON FUNCTION create_practitioner FROM PUBLIC;
GRANT EXECUTE ON FUNCTION create_practitioner TO jhe_app;
