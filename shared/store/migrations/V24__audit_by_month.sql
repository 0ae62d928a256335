-- The audit by months: what is old is kept apart from what is written, and every list of it is read newest first and stops at
-- its page.
--
-- The rows that are there stay where they are: their table becomes the first part. Nobody else is served meanwhile: the locks
-- last as long as its indexes take to build, about ten seconds for each million events (decision 44).

ALTER TABLE audit_event RENAME TO audit_event_first;
ALTER TABLE audit_change RENAME TO audit_change_first;

-- Opaque: the grant that an access token comes from, or the session of a browser. Never a token.
ALTER TABLE audit_event_first ADD COLUMN session text;
-- When the event of the change was. It is filled in here, before the trigger refuses that again.
ALTER TABLE audit_change_first ADD COLUMN occurred_at timestamptz;
ALTER TABLE audit_change_first DISABLE TRIGGER audit_change_immutable;
UPDATE audit_change_first c SET occurred_at = e.occurred_at FROM audit_event_first e WHERE e.id = c.event_id;
ALTER TABLE audit_change_first ENABLE TRIGGER audit_change_immutable;

-- A change has no foreign key to its event: audit_record, which alone writes both, writes them as one, and a part of the audit
-- whose time is over can go without the others being looked through.
ALTER TABLE audit_change_first DROP CONSTRAINT audit_change_event_id_fkey, DROP CONSTRAINT audit_change_pkey;
ALTER TABLE audit_change_first ALTER COLUMN occurred_at SET NOT NULL;
ALTER TABLE audit_event_first DROP CONSTRAINT audit_event_pkey, ALTER COLUMN id DROP IDENTITY;
DROP INDEX audit_event_patient;
DROP TRIGGER audit_event_immutable ON audit_event_first;
DROP TRIGGER audit_change_immutable ON audit_change_first;

CREATE SEQUENCE audit_event_id AS bigint;
SELECT setval('audit_event_id', coalesce(max(id), 0) + 1, false) FROM audit_event_first;

CREATE TABLE audit_event (
  LIKE audit_event_first INCLUDING DEFAULTS INCLUDING CONSTRAINTS,
  PRIMARY KEY (occurred_at, id)
) PARTITION BY RANGE (occurred_at);
ALTER TABLE audit_event ALTER COLUMN id SET DEFAULT nextval('audit_event_id');
ALTER SEQUENCE audit_event_id OWNED BY audit_event.id;
CREATE INDEX audit_event_number ON audit_event (id);
CREATE INDEX audit_event_actor ON audit_event (actor_user_id, occurred_at, id);
CREATE INDEX audit_event_concerned ON audit_event USING gin (patient_ids, study_ids) WITH (fastupdate = off);
-- An organization can have a tenth of all events, or none: only an index in the order of time finds its newest ones as quickly.
-- Most events are of one organization. The few that are of more are found by the others among them.
CREATE INDEX audit_event_organization ON audit_event ((organization_ids[1]), occurred_at, id);
CREATE INDEX audit_event_shared ON audit_event USING gin (organization_ids) WITH (fastupdate = off) WHERE cardinality(organization_ids) > 1;
-- Both are few.
CREATE INDEX audit_event_refused ON audit_event (occurred_at, id) WHERE outcome <> 'allowed';
CREATE INDEX audit_event_privileged ON audit_event (occurred_at, id) WHERE privileged;

CREATE TABLE audit_change (
  LIKE audit_change_first INCLUDING CONSTRAINTS,
  PRIMARY KEY (occurred_at, event_id)
) PARTITION BY RANGE (occurred_at);

-- A trigger for rows is also one of every part, of those too that are made later. One for TRUNCATE is not: audit_part makes it.
CREATE TRIGGER audit_event_immutable BEFORE UPDATE OR DELETE ON audit_event FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER audit_event_no_truncate BEFORE TRUNCATE ON audit_event FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER audit_change_immutable BEFORE UPDATE OR DELETE ON audit_change FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER audit_change_no_truncate BEFORE TRUNCATE ON audit_change FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- Makes a part of the audit, from a time to another.
CREATE FUNCTION audit_part(parent text, suffix text, starts text, ends text) RETURNS void LANGUAGE plpgsql
  SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  EXECUTE format('CREATE TABLE public.%I PARTITION OF public.%I FOR VALUES FROM (%s) TO (%s)', parent || suffix, parent, starts, ends);
  EXECUTE format('CREATE TRIGGER %I BEFORE TRUNCATE ON public.%I FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_change()',
                 parent || '_no_truncate', parent || suffix);
END
$$;

-- From when on there are no parts by months. What comes then is in the last part, which has no end.
CREATE FUNCTION audit_parts_end() RETURNS timestamptz LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT substring(pg_get_expr(relpartbound, oid) FROM 'FROM \(''([^'']+)''\)')::timestamptz
    FROM pg_class WHERE oid = to_regclass('public.audit_event_rest')
$$;

-- Makes the parts of this month and of so many after it, of those that are not there, and says how many it made. They are cut
-- off the last part. If that has rows already, since nobody has called this for months, none of them is moved, as no row of the
-- audit ever is: it becomes the part of the time until the next month, and another takes the rest. Two calls at once take turns.
-- A call that would hold up the writers for longer than a moment gives up; the next one tries again.
CREATE FUNCTION audit_make_parts(months int) RETURNS int LANGUAGE plpgsql SECURITY DEFINER
  SET search_path = pg_catalog, public, pg_temp SET timezone = 'UTC' SET datestyle = 'ISO' SET lock_timeout = '2s' AS $$
DECLARE
  tables constant text[] := ARRAY['audit_event', 'audit_change'];
  this_month constant timestamptz := date_trunc('month', clock_timestamp());
  target constant timestamptz := this_month + make_interval(months => least(greatest(months, 0), 24) + 1);
  starts timestamptz;
  next timestamptz;
  made int := 0;
  parent text;
BEGIN
  PERFORM pg_advisory_xact_lock(hashtextextended('audit_make_parts', 0));
  starts := audit_parts_end();
  IF starts >= target THEN
    RETURN 0;
  END IF;
  FOREACH parent IN ARRAY tables LOOP
    EXECUTE format('ALTER TABLE public.%1$I DETACH PARTITION public.%2$I', parent, parent || '_rest');
  END LOOP;
  SELECT greatest(date_trunc('month', max(occurred_at)), this_month) + interval '1 month' INTO next FROM audit_event_rest
   HAVING count(*) > 0;
  IF next IS NOT NULL THEN
    FOREACH parent IN ARRAY tables LOOP
      EXECUTE format('ALTER TABLE public.%I RENAME TO %I', parent || '_rest', parent || to_char(starts, '_YYYY_MM'));
      EXECUTE format('ALTER TABLE public.%I ATTACH PARTITION public.%I FOR VALUES FROM (%L) TO (%L)',
                     parent, parent || to_char(starts, '_YYYY_MM'), starts, next);
    END LOOP;
    starts := next;
    made := 1;
  END IF;
  WHILE starts < target LOOP
    FOREACH parent IN ARRAY tables LOOP
      PERFORM audit_part(parent, to_char(starts, '_YYYY_MM'), quote_literal(starts), quote_literal(starts + interval '1 month'));
    END LOOP;
    starts := starts + interval '1 month';
    made := made + 1;
  END LOOP;
  FOREACH parent IN ARRAY tables LOOP
    IF next IS NULL THEN
      EXECUTE format('ALTER TABLE public.%I ATTACH PARTITION public.%I FOR VALUES FROM (%L) TO (MAXVALUE)', parent, parent || '_rest', starts);
    ELSE
      PERFORM audit_part(parent, '_rest', quote_literal(starts), 'MAXVALUE');
    END IF;
  END LOOP;
  RETURN made;
END
$$;
REVOKE ALL ON FUNCTION audit_part, audit_parts_end, audit_make_parts FROM PUBLIC;
GRANT EXECUTE ON FUNCTION audit_make_parts, audit_parts_end TO jhe_app;

-- The rows of before, and all that comes until the next month.
DO $$
DECLARE
  parent text;
  next text := quote_literal((date_trunc('month', clock_timestamp() AT TIME ZONE 'UTC') + interval '1 month')::date || ' 00:00:00+00');
BEGIN
  FOREACH parent IN ARRAY ARRAY['audit_event', 'audit_change'] LOOP
    EXECUTE format('ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (MINVALUE) TO (%s)', parent, parent || '_first', next);
    PERFORM audit_part(parent, '_rest', next, 'MAXVALUE');
  END LOOP;
END
$$;
SELECT audit_make_parts(3);

-- As in V18; and `context` may name the session.
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
BEGIN
  INSERT INTO audit_event (request_id, session, actor_user_id, actor_type, actor_role, client_id, action, resource_type,
                           organization_ids, study_ids, patient_ids, observation_ids, outcome, refused_by,
                           privileged, on_behalf_of, source_address, reason, subject_user_id, detail)
  VALUES (context->>'request_id', context->>'session', (context->>'actor_user_id')::int, context->>'actor_type',
          coalesce(actor_role, (context->>'actor_role')::member_role), (context->>'client_id')::int,
          context->>'action', context->>'resource_type',
          coalesce(organization_ids, '{}'), coalesce(study_ids, '{}'), coalesce(patient_ids, '{}'), coalesce(observation_ids, '{}'),
          outcome, refused_by, coalesce((context->>'privileged')::boolean, false), (context->>'on_behalf_of')::int,
          context->>'source_address', context->>'reason', (context->>'subject_user_id')::int,
          CASE WHEN was IS NULL AND is_now IS NULL THEN context->'detail'
               ELSE coalesce(context->'detail', '{}') || jsonb_build_object(
                      'changed', (SELECT jsonb_agg(DISTINCT key) FROM (SELECT jsonb_object_keys(was) UNION SELECT jsonb_object_keys(is_now)) AS n(key)),
                      'digest', encode(sha256(convert_to(jsonb_build_array(was, is_now)::text, 'UTF8')), 'hex')) END)
  RETURNING id, occurred_at INTO event, at;
  IF was IS NOT NULL OR is_now IS NOT NULL THEN
    INSERT INTO audit_change (event_id, occurred_at, before, after) VALUES (event, at, was, is_now);
  END IF;
  RETURN event;
END
$$;

GRANT SELECT ON audit_event, audit_change TO jhe_app;
REVOKE SELECT ON audit_event_first, audit_change_first FROM jhe_app;

-- What a request with a key left in the audit is found by its time. The version before still writes this.
ALTER TABLE idempotency_key ALTER COLUMN audit_after SET DEFAULT 0;
