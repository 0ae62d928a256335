-- RDS Proxy keeps a connection to itself whose statements name nextval. What a function does is not looked at.
CREATE FUNCTION next_observation_id() RETURNS bigint LANGUAGE sql VOLATILE AS $$ SELECT nextval('observation_id_seq') $$;
REVOKE ALL ON FUNCTION next_observation_id FROM PUBLIC;
GRANT EXECUTE ON FUNCTION next_observation_id TO jhe_app;
