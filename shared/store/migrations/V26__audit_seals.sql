-- The audit is sealed: what was recorded between two times is one signed hash, tied to the one before (decision 46).

-- The time of an event. The transaction has its number before the clock is read: so one without a number yet, when a horizon is
-- marked, records only later times.
CREATE FUNCTION audit_time() RETURNS timestamptz LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM pg_current_xact_id();
  RETURN clock_timestamp();
END
$$;
ALTER TABLE audit_event ALTER COLUMN occurred_at SET DEFAULT audit_time();

-- Times with the number of the transaction that marked them. When all transactions before that one have ended, nothing that
-- is recorded later can be before that time.
CREATE TABLE audit_horizon (
  at  timestamptz PRIMARY KEY,
  xid xid8 NOT NULL
);

-- Marks the present, and forgets what is sealed. In a transaction of its own, so that the clock is read before it gets a number.
CREATE FUNCTION audit_mark_horizon() RETURNS void LANGUAGE plpgsql SECURITY DEFINER
  SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  at constant timestamptz := clock_timestamp();
BEGIN
  IF pg_current_xact_id_if_assigned() IS NOT NULL THEN
    RAISE EXCEPTION 'a horizon is marked in a transaction of its own' USING ERRCODE = 'active_sql_transaction';
  END IF;
  INSERT INTO audit_horizon (at, xid) VALUES (at, pg_current_xact_id());
  DELETE FROM audit_horizon h WHERE h.at < (SELECT max(s.window_end) FROM audit_seal s);
END
$$;
REVOKE ALL ON FUNCTION audit_mark_horizon, audit_time FROM PUBLIC;

-- The seals, as they are also kept outside of this database.
CREATE TABLE audit_seal (
  sequence     bigint PRIMARY KEY CHECK (sequence > 0),
  window_start timestamptz NOT NULL UNIQUE,
  window_end   timestamptz NOT NULL UNIQUE,
  head         text NOT NULL, -- what is signed
  signature    text NOT NULL,
  CHECK (window_start < window_end)
);
CREATE TRIGGER audit_seal_immutable BEFORE UPDATE OR DELETE ON audit_seal FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER audit_seal_no_truncate BEFORE TRUNCATE ON audit_seal FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

GRANT SELECT, INSERT ON audit_seal TO jhe_app;
GRANT SELECT ON audit_horizon TO jhe_app;
GRANT EXECUTE ON FUNCTION audit_mark_horizon TO jhe_app;
