-- The digest of a change is in the sealed event for good. Of a date or a telephone number it would tell what it is of, to who tries them
-- all: so random bytes are hashed along, which are with the change and go with it.
ALTER TABLE audit_change ADD COLUMN salt bytea;

DROP FUNCTION change_digest(jsonb, jsonb, text);
-- What an event keeps of a change. Without a reason and a salt it is as it was before there were any.
CREATE FUNCTION change_digest(before jsonb, after jsonb, reason text, salt bytea) RETURNS text LANGUAGE sql IMMUTABLE
  SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT encode(sha256(convert_to((jsonb_build_array(before, after) || CASE WHEN reason IS NULL THEN '[]' ELSE jsonb_build_array(reason) END)::text, 'UTF8')
                       || coalesce(salt, '')), 'hex')
$$;
REVOKE ALL ON FUNCTION change_digest FROM PUBLIC;

-- As in V42, but for the salt and for where a reason is.
CREATE OR REPLACE FUNCTION audit_record(
  context jsonb, outcome text, refused_by text,
  organization_ids int[], study_ids int[], patient_ids int[], observation_ids bigint[],
  actor_role member_role DEFAULT NULL, before jsonb DEFAULT NULL, after jsonb DEFAULT NULL
) RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  event bigint;
  at timestamptz;
  was jsonb := differing(before, coalesce(after, '{}'));
  is_now jsonb := differing(after, coalesce(before, '{}'));
  is_privileged constant boolean := coalesce((context->>'privileged')::boolean, false);
  organizations int[] := coalesce(organization_ids, '{}');
  used member_role;
  roles jsonb;
  details jsonb := context->'detail';
  told text := context->>'reason';
  salt bytea;
BEGIN
  -- Of what failed, and of whom was not found, nobody knows whom the reason is about: nobody could delete it later.
  IF coalesce(patient_ids, '{}') = '{}' AND (outcome = 'failed' OR outcome = 'allowed' AND context->>'resource_type' = 'Patient') THEN
    told := NULL;
  END IF;
  IF patient_ids <> '{}' AND (is_privileged OR refused_by = 'organization' OR outcome = 'denied' AND organizations = '{}') THEN
    organizations := ARRAY(SELECT unnest(organizations)
                            UNION SELECT o.organization_id FROM patient_organization o WHERE o.patient_id = ANY (patient_ids) ORDER BY 1);
  END IF;
  IF context->>'actor_type' = 'practitioner' AND organizations <> '{}' THEN
    SELECT max(m.role), jsonb_object_agg(m.organization_id, m.role)
             FILTER (WHERE cardinality(organizations) > 1)
      INTO used, roles
      FROM practitioner p JOIN organization_member m ON m.practitioner_id = p.id
     WHERE p.user_id = (context->>'actor_user_id')::int AND m.organization_id = ANY (organizations);
    IF cardinality(organizations) = 1 AND (was IS NOT NULL OR is_now IS NOT NULL) THEN
      used := coalesce(actor_role, used);
    END IF;
    IF roles IS NOT NULL AND ((SELECT count(*) FROM jsonb_object_keys(roles)) < cardinality(organizations)
                              OR (SELECT count(DISTINCT value) FROM jsonb_each(roles)) > 1) THEN
      details := coalesce(details, '{}') || jsonb_build_object('roles', roles);
    END IF;
  END IF;
  IF context ? 'operator' THEN
    details := coalesce(details, '{}') || jsonb_build_object('operator', context->'operator');
  END IF;
  IF was IS NOT NULL OR is_now IS NOT NULL THEN
    details := coalesce(details, '{}') || jsonb_build_object(
                 'changed', (SELECT jsonb_agg(DISTINCT key) FROM (SELECT jsonb_object_keys(was) UNION SELECT jsonb_object_keys(is_now)) AS n(key)));
  ELSIF told IS NOT NULL THEN
    is_now := '{}'; -- nothing changed that has a name
  END IF;
  IF was IS NOT NULL OR is_now IS NOT NULL THEN
    salt := uuid_send(gen_random_uuid());
    details := coalesce(details, '{}') || jsonb_build_object('digest', change_digest(was, is_now, told, salt));
  END IF;
  INSERT INTO audit_event (request_id, session, actor_user_id, actor_type, actor_role, client_id, action, resource_type,
                           organization_ids, study_ids, patient_ids, observation_ids, outcome, refused_by,
                           privileged, on_behalf_of, source_address, reason, subject_user_id, detail)
  VALUES (context->>'request_id', context->>'session', (context->>'actor_user_id')::int, context->>'actor_type',
          used, (context->>'client_id')::int, context->>'action', context->>'resource_type',
          organizations, coalesce(study_ids, '{}'), coalesce(patient_ids, '{}'), coalesce(observation_ids, '{}'),
          outcome, refused_by, is_privileged, (context->>'on_behalf_of')::int,
          context->>'source_address', NULL, (context->>'subject_user_id')::int, details)
  RETURNING id, occurred_at INTO event, at;
  IF was IS NOT NULL OR is_now IS NOT NULL THEN
    INSERT INTO audit_change (event_id, occurred_at, before, after, reason, salt) VALUES (event, at, was, is_now, told, salt);
  END IF;
  RETURN event;
END
$$;
