-- The audit: one row for every request that touched health data or changed anything, allowed or refused.

CREATE TABLE audit_event (
  id               bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  occurred_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
  request_id       text NOT NULL,
  actor_user_id    int, -- NULL: nobody was authenticated
  actor_type       text NOT NULL CHECK (actor_type IN ('anonymous', 'patient', 'practitioner', 'super_admin', 'system')),
  actor_role       member_role,
  client_id        int,
  action           text NOT NULL CHECK (action IN ('read', 'search', 'create', 'update', 'delete', 'execute')),
  resource_type    text NOT NULL,
  organization_ids int[] NOT NULL,
  study_ids        int[] NOT NULL,
  patient_ids      int[] NOT NULL,
  observation_ids  bigint[] NOT NULL,
  outcome          text NOT NULL CHECK (outcome IN ('allowed', 'denied', 'failed')),
  refused_by       text CHECK (refused_by IN ('token', 'user_type', 'organization', 'enrolment', 'consent', 'role', 'not_found', 'invalid')),
  privileged       boolean NOT NULL,
  on_behalf_of     int, -- the patient for whom a practitioner decided
  source_address   text,
  reason           text, -- why, in the words of who asked
  detail           jsonb, -- what changed, in names and ids; never health data
  CHECK ((outcome = 'allowed') = (refused_by IS NULL))
);
CREATE INDEX audit_event_patient ON audit_event USING gin (patient_ids);

-- What a change changed: the members that differ, as they were and as they are. Apart from the event, which has only their
-- names and a digest: so what a person was called can be erased, and what is left can still be proved.
CREATE TABLE audit_change (
  event_id bigint PRIMARY KEY REFERENCES audit_event,
  before   jsonb, -- NULL: it was created
  after    jsonb, -- NULL: it was deleted
  CHECK (before IS NOT NULL OR after IS NOT NULL)
);

CREATE TRIGGER audit_event_immutable BEFORE UPDATE OR DELETE ON audit_event FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER audit_event_no_truncate BEFORE TRUNCATE ON audit_event FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER audit_change_immutable BEFORE UPDATE OR DELETE ON audit_change FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER audit_change_no_truncate BEFORE TRUNCATE ON audit_change FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- The members of one object that another has not, or has otherwise.
CREATE FUNCTION differing(one jsonb, other jsonb) RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
  SELECT jsonb_object_agg(key, value) FROM jsonb_each(one) WHERE key <> 'last_updated' AND value IS DISTINCT FROM other->key
$$;

-- The only way to write the audit. `context` is what the request knows (who, from where, what); the other
-- arguments are what the statement that touched the data found, and for a change the row before and after, without secrets. Called inside that statement, so that a
-- read and its record are one: if the row cannot be written, nothing is returned.
CREATE FUNCTION audit_record(
  context jsonb, outcome text, refused_by text,
  organization_ids int[], study_ids int[], patient_ids int[], observation_ids bigint[],
  actor_role member_role DEFAULT NULL, before jsonb DEFAULT NULL, after jsonb DEFAULT NULL
) RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  event bigint;
  was jsonb := differing(before, coalesce(after, '{}'));
  is_now jsonb := differing(after, coalesce(before, '{}'));
BEGIN
  INSERT INTO audit_event (request_id, actor_user_id, actor_type, actor_role, client_id, action, resource_type,
                           organization_ids, study_ids, patient_ids, observation_ids, outcome, refused_by,
                           privileged, on_behalf_of, source_address, reason, detail)
  VALUES (context->>'request_id', (context->>'actor_user_id')::int, context->>'actor_type',
          coalesce(actor_role, (context->>'actor_role')::member_role), (context->>'client_id')::int,
          context->>'action', context->>'resource_type',
          coalesce(organization_ids, '{}'), coalesce(study_ids, '{}'), coalesce(patient_ids, '{}'), coalesce(observation_ids, '{}'),
          outcome, refused_by, coalesce((context->>'privileged')::boolean, false), (context->>'on_behalf_of')::int,
          context->>'source_address', context->>'reason',
          CASE WHEN was IS NULL AND is_now IS NULL THEN context->'detail'
               ELSE coalesce(context->'detail', '{}') || jsonb_build_object(
                      'changed', (SELECT jsonb_agg(DISTINCT key) FROM (SELECT jsonb_object_keys(was) UNION SELECT jsonb_object_keys(is_now)) AS n(key)),
                      'digest', encode(sha256(convert_to(jsonb_build_array(was, is_now)::text, 'UTF8')), 'hex')) END)
  RETURNING id INTO event;
  IF was IS NOT NULL OR is_now IS NOT NULL THEN
    INSERT INTO audit_change (event_id, before, after) VALUES (event, was, is_now);
  END IF;
  RETURN event;
END
$$;
REVOKE ALL ON FUNCTION audit_record, differing FROM PUBLIC;
GRANT EXECUTE ON FUNCTION audit_record TO jhe_app;

-- What the functions may do: column by column where they change something. Nothing here lets them change the past of the
-- ledger or the audit, their own rights, or anybody's account.
GRANT SELECT ON ALL TABLES IN SCHEMA public TO jhe_app;
GRANT INSERT (email, first_name, last_name, user_type) ON app_user TO jhe_app;
GRANT INSERT, UPDATE (last_updated) ON patient TO jhe_app; -- the update right is for row locks
GRANT INSERT ON patient_identifier, patient_organization TO jhe_app;
GRANT INSERT, DELETE ON study_patient TO jhe_app;
GRANT INSERT ON consent_event TO jhe_app;
GRANT INSERT ON observation, observation_identifier TO jhe_app;
GRANT INSERT, UPDATE, DELETE ON login_session, login_failure TO jhe_app;
GRANT INSERT, UPDATE (revoked_at) ON oauth_grant TO jhe_app;
GRANT INSERT, UPDATE (used_at) ON oauth_code, refresh_token TO jhe_app;
GRANT INSERT ON access_token TO jhe_app;
GRANT INSERT, UPDATE (status, redeemed_at, last_updated) ON invitation TO jhe_app;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO jhe_app;
REVOKE ALL ON SEQUENCE consent_event_id FROM jhe_app;

-- No temporary tables: nothing needs them, and one could stand in front of a table of ours.
DO $$
BEGIN
  EXECUTE format('REVOKE TEMPORARY ON DATABASE %I FROM PUBLIC', current_database());
END
$$;
