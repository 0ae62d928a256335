-- Who was tried: the account that a refused sign-in was an attempt on. And whose pushed requests wait.

-- NULL: no account, or none that is known. Never what somebody typed.
ALTER TABLE audit_event ADD COLUMN subject_user_id int;

-- As in V3; and `context` may name the account that somebody tried to open.
CREATE OR REPLACE FUNCTION audit_record(
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
                           privileged, on_behalf_of, source_address, reason, subject_user_id, detail)
  VALUES (context->>'request_id', (context->>'actor_user_id')::int, context->>'actor_type',
          coalesce(actor_role, (context->>'actor_role')::member_role), (context->>'client_id')::int,
          context->>'action', context->>'resource_type',
          coalesce(organization_ids, '{}'), coalesce(study_ids, '{}'), coalesce(patient_ids, '{}'), coalesce(observation_ids, '{}'),
          outcome, refused_by, coalesce((context->>'privileged')::boolean, false), (context->>'on_behalf_of')::int,
          context->>'source_address', context->>'reason', (context->>'subject_user_id')::int,
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

-- Where the pushed requests of clients come from that prove nothing: by client and network, so that one place has not too many
-- of them waiting.
CREATE TABLE pushed_from (
  reference_hash bytea PRIMARY KEY REFERENCES pushed_request ON DELETE CASCADE,
  source_hash    bytea NOT NULL CHECK (length(source_hash) = 32)
);
CREATE INDEX pushed_from_source ON pushed_from (source_hash);
GRANT SELECT, INSERT ON pushed_from TO jhe_app;
