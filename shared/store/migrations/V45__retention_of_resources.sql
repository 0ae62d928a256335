-- Resources of FHIR Sources are health data as observations are, and go by the same policies: a lane of a plan is a patient and a kind of
-- data, whichever of both it is of. The time of a resource is when it was stored, since nobody here reads what is in it.
ALTER TABLE retention_batch ADD COLUMN resource_ids uuid[] NOT NULL DEFAULT '{}', ADD COLUMN versions int NOT NULL DEFAULT 0;

-- What somebody deleted is kept as versions, and its time counts from then on.
ALTER TABLE auxiliary_version ADD COLUMN is_last boolean; -- it was deleted then, not changed. NULL: of before this was kept

-- As in V38; and the last version of what is deleted says so. What is erased, or whose time is over, is not kept.
CREATE OR REPLACE FUNCTION auxiliary_keep() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  IF TG_OP = 'DELETE' AND (current_setting('jhe.time_is_over', true) = 'yes' OR is_being_erased(OLD.patient_id)) THEN
    RETURN NULL;
  END IF;
  INSERT INTO auxiliary_version (id, version, patient_id, scope_id, source_id, upstream_id, last_updated, content, payload, is_last)
  VALUES (OLD.id, OLD.version, OLD.patient_id, OLD.scope_id, OLD.source_id, OLD.upstream_id, OLD.last_updated, OLD.content, OLD.payload,
          TG_OP = 'DELETE');
  RETURN NULL;
END
$$;

-- The resources of a patient and a kind of data that were stored, or deleted, before a time. Part of the statement that calls it, so that
-- who wants some does not find all.
CREATE FUNCTION retention_due_resources(of_patient int, of_scope int, until timestamptz) RETURNS TABLE (id uuid, is_there boolean)
  LANGUAGE sql STABLE AS $$
  SELECT r.id, r.is_there
    FROM (SELECT x.id, true AS is_there FROM auxiliary x
           WHERE x.patient_id = of_patient AND x.scope_id = of_scope AND x.last_updated < until
           UNION ALL
          SELECT v.id, false FROM auxiliary_version v
           WHERE v.patient_id = of_patient AND v.scope_id = of_scope AND v.ended_at < until AND v.is_last IS NOT FALSE
             AND NOT EXISTS (SELECT FROM auxiliary x WHERE x.id = v.id)
             AND NOT EXISTS (SELECT FROM auxiliary_version w WHERE w.id = v.id AND w.version > v.version)) r
   -- A clock that was set back makes data stay longer.
   WHERE NOT EXISTS (SELECT FROM auxiliary_version w WHERE w.id = r.id AND w.last_updated >= until)
$$;

-- As in V39, with resources.
CREATE OR REPLACE FUNCTION retention_due_lanes(of_patients int[])
RETURNS TABLE (patient_id int, scope_id int, cut timestamptz, observations bigint, study_ids int[], organization_ids int[])
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT n.patient_id, n.scope_id, n.cut, d.observations + r.resources, coalesce(g.study_ids, '{}'), coalesce(g.organization_ids, '{}')
    FROM (SELECT l.patient_id, l.scope_id, retention_cut(l.patient_id, l.scope_id, statement_timestamp()) AS cut
            FROM (SELECT p.id AS patient_id, c.id AS scope_id FROM unnest(of_patients) p (id) CROSS JOIN scope c
                   WHERE EXISTS (SELECT FROM observation o WHERE o.patient_id = p.id AND o.scope_id = c.id)
                      OR EXISTS (SELECT FROM auxiliary x WHERE x.patient_id = p.id AND x.scope_id = c.id)
                      OR EXISTS (SELECT FROM auxiliary_version v
                                  WHERE v.patient_id = p.id AND v.scope_id = c.id AND v.is_last IS NOT FALSE)) l OFFSET 0) n
   CROSS JOIN LATERAL (SELECT count(*) AS observations FROM observation o
                        WHERE o.patient_id = n.patient_id AND o.scope_id = n.scope_id AND n.cut > '-infinity'
                          AND o.last_updated < n.cut AND o.effective_end < n.cut) d
   CROSS JOIN LATERAL (SELECT count(*) AS resources FROM retention_due_resources(n.patient_id, n.scope_id, n.cut)) r
   CROSS JOIN LATERAL (SELECT array_agg(DISTINCT e.study_id) AS study_ids, array_agg(DISTINCT s.organization_id) AS organization_ids
                         FROM consent_event e JOIN study s ON s.id = e.study_id
                        WHERE e.patient_id = n.patient_id AND e.scope_id = n.scope_id AND e.decision = 'granted') g
   WHERE d.observations + r.resources > 0
$$;

-- As in V39; and versions go with their resource when its time is over by a plan that was announced.
CREATE OR REPLACE FUNCTION refuse_change_but_encryption() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'UPDATE' AND OLD.payload IS NULL AND NEW.content IS NULL
     AND to_jsonb(OLD) - 'content' - 'payload' = to_jsonb(NEW) - 'content' - 'payload' THEN
    RETURN NEW;
  ELSIF TG_OP = 'DELETE' AND (EXISTS (SELECT FROM retention_lane l JOIN retention_plan p ON p.id = l.plan_id
                                        WHERE l.patient_id = OLD.patient_id AND l.scope_id = OLD.scope_id AND l.closed_at IS NULL
                                          AND p.delete_after <= clock_timestamp() AND OLD.last_updated < l.cut)
                             OR is_being_erased(OLD.patient_id)) THEN
    RETURN OLD;
  END IF;
  RAISE EXCEPTION 'rows of % are never changed or deleted', TG_TABLE_NAME USING ERRCODE = 'insufficient_privilege';
END
$$;

-- Deletes due resources of a lane: so many rows at most, and when it has come to some megabytes it is enough, since a row may have six. Of a
-- resource its versions go first, the oldest before the others: what is left of it is due still. Those of which nothing is left, how many
-- versions went with them, and whether there may be more.
CREATE FUNCTION retention_delete_resources(of_patient int, of_scope int, until timestamptz, most int,
                                           OUT resources uuid[], OUT versions int, OUT more boolean)
  -- By the indexes, resource by resource, however many there are: reading all of a table takes longer than a batch may.
  LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp SET enable_hashjoin = off SET enable_mergejoin = off SET enable_seqscan = off
  SET enable_sort = off AS $$
DECLARE
  enough CONSTANT bigint := 2000000;
  one record;
  sizes bigint[];
  bytes bigint := 0;
  left_over int := most;
BEGIN
  resources := '{}';
  versions := 0;
  more := false;
  PERFORM set_config('jhe.time_is_over', 'yes', true);
  FOR one IN SELECT d.id, d.is_there FROM retention_due_resources(of_patient, of_scope, until) d LIMIT most + 1 LOOP
    more := left_over = 0 OR bytes >= enough;
    EXIT WHEN more;
    -- Whoever changes it meanwhile comes first, and it stays.
    PERFORM FROM auxiliary x WHERE x.id = one.id AND x.last_updated < until FOR UPDATE;
    CONTINUE WHEN FOUND <> one.is_there;
    WITH oldest AS MATERIALIZED (
      SELECT o.version, o.size, sum(o.size) OVER (ORDER BY o.version) - o.size AS before
        FROM (SELECT v.version, octet_length(coalesce(v.payload, ''::bytea)) + octet_length(coalesce(v.content, '')) AS size
                FROM auxiliary_version v WHERE v.id = one.id ORDER BY v.version LIMIT left_over) o
    ), deleted AS (
      DELETE FROM auxiliary_version v USING oldest o WHERE v.id = one.id AND v.version = o.version AND bytes + o.before < enough RETURNING o.size
    )
    SELECT coalesce(array_agg(d.size), '{}') INTO sizes FROM deleted d;
    versions := versions + cardinality(sizes);
    left_over := left_over - cardinality(sizes);
    bytes := bytes + (SELECT coalesce(sum(size), 0) FROM unnest(sizes) size);
    more := one.is_there AND left_over = 0 OR EXISTS (SELECT FROM auxiliary_version v WHERE v.id = one.id);
    EXIT WHEN more;
    IF one.is_there THEN
      left_over := left_over - 1;
      DELETE FROM auxiliary x WHERE x.id = one.id
      RETURNING bytes + octet_length(coalesce(x.payload, ''::bytea)) + octet_length(coalesce(x.content, '')) INTO bytes;
    END IF;
    resources := resources || one.id;
  END LOOP;
  PERFORM set_config('jhe.time_is_over', '', true);
END
$$;

-- As in V33, with resources.
CREATE OR REPLACE FUNCTION retention_delete(context jsonb, most int) RETURNS jsonb LANGUAGE plpgsql SECURITY DEFINER
  SET search_path = pg_catalog, public, pg_temp SET lock_timeout = '50ms' AS $$
DECLARE
  lane retention_lane;
  floor_now retention_floor;
  until timestamptz;
  batch int := least(greatest(most, 1), 1000);
  gone bigint[];
  others record;
BEGIN
  SELECT * INTO STRICT floor_now FROM retention_floor FOR SHARE;
  SELECT l.* INTO lane FROM retention_lane l JOIN retention_plan p ON p.id = l.plan_id
   WHERE l.closed_at IS NULL AND p.delete_after <= clock_timestamp()
     AND p.noticed_at + make_interval(days => floor_now.notice_days) <= clock_timestamp()
   ORDER BY l.plan_id, l.patient_id, l.scope_id LIMIT 1 FOR UPDATE OF l SKIP LOCKED;
  IF NOT FOUND THEN
    UPDATE retention_plan p SET finished_at = clock_timestamp()
     WHERE p.finished_at IS NULL AND p.noticed_at IS NOT NULL AND NOT EXISTS (SELECT FROM retention_lane l WHERE l.plan_id = p.id AND l.closed_at IS NULL);
    RETURN jsonb_build_object('more', false, 'deleted', 0);
  END IF;
  -- Decisions of the patient wait until the batch is done, and it for them. Uploads do not.
  PERFORM FROM patient p WHERE p.id = lane.patient_id FOR SHARE;
  until := least(lane.cut, retention_cut(lane.patient_id, lane.scope_id, clock_timestamp()));
  WITH due AS MATERIALIZED (
    SELECT o.id, o.last_updated FROM observation o
     WHERE o.patient_id = lane.patient_id AND o.scope_id = lane.scope_id AND o.last_updated < until AND o.effective_end < until
     ORDER BY o.last_updated, o.id LIMIT batch FOR UPDATE
  ), feed AS (
    DELETE FROM study_observation f USING due d, consent_current c
     WHERE c.patient_id = lane.patient_id AND c.scope_id = lane.scope_id
       AND f.study_id = c.study_id AND f.scope_id = lane.scope_id AND f.last_updated = d.last_updated AND f.observation_id = d.id
  ), sources AS (
    DELETE FROM source_observation s USING due d WHERE s.observation_id = d.id
  ), identifiers AS (
    DELETE FROM observation_identifier i USING due d WHERE i.observation_id = d.id AND i.patient_id = lane.patient_id
  ), deleted AS (
    DELETE FROM observation o USING due d WHERE o.id = d.id RETURNING o.id
  )
  SELECT coalesce(array_agg(d.id ORDER BY d.id), '{}') INTO gone FROM deleted d;
  SELECT '{}'::uuid[] AS resources, 0 AS versions, true AS more INTO others;
  IF cardinality(gone) < batch THEN
    SELECT r.* INTO others FROM retention_delete_resources(lane.patient_id, lane.scope_id, until, batch - cardinality(gone)) r;
  END IF;
  UPDATE retention_lane l
     SET deleted = l.deleted + cardinality(gone) + cardinality(others.resources), closed_at = CASE WHEN NOT others.more THEN clock_timestamp() END
   WHERE l.plan_id = lane.plan_id AND l.patient_id = lane.patient_id AND l.scope_id = lane.scope_id;
  IF cardinality(gone) + cardinality(others.resources) + others.versions > 0 THEN
    INSERT INTO retention_batch (plan_id, observation_ids, resource_ids, versions) VALUES (lane.plan_id, gone, others.resources, others.versions);
    PERFORM audit_record(context || jsonb_build_object('detail', jsonb_build_object('plan', lane.plan_id) ||
                           CASE WHEN others.resources <> '{}' THEN jsonb_build_object('ids', others.resources) ELSE '{}' END),
                         'allowed', NULL, lane.organization_ids, lane.study_ids, ARRAY[lane.patient_id], gone);
  END IF;
  RETURN jsonb_build_object('more', true, 'deleted', cardinality(gone), 'resources', cardinality(others.resources));
END
$$;
REVOKE ALL ON FUNCTION auxiliary_keep, retention_due_resources, retention_delete_resources FROM PUBLIC;

-- As in V33, with resources.
CREATE OR REPLACE FUNCTION retention_certifiable() RETURNS jsonb LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT jsonb_build_object('plan', p.id, 'noticedAt', p.noticed_at, 'deleteAfter', p.delete_after, 'finishedAt', p.finished_at,
           'by', p.policies, 'patients', l.patients, 'kinds', l.kinds, 'observations', b.observations, 'idsSha256', b.digest)
           || CASE WHEN v.versions + r.resources > 0
                   THEN jsonb_build_object('resources', r.resources, 'versions', v.versions, 'resourceIdsSha256', r.digest) ELSE '{}' END
    FROM retention_plan p
   CROSS JOIN LATERAL (SELECT count(DISTINCT l.patient_id) AS patients FROM retention_lane l WHERE l.plan_id = p.id AND l.deleted > 0) lp
   CROSS JOIN LATERAL (SELECT lp.patients, jsonb_object_agg(k.code, k.deleted) AS kinds
                         FROM (SELECT c.code, sum(l.deleted) AS deleted FROM retention_lane l JOIN scope c ON c.id = l.scope_id
                                WHERE l.plan_id = p.id AND l.deleted > 0 GROUP BY c.code) k) l
   CROSS JOIN LATERAL (SELECT count(*) AS observations,
                              encode(sha256(convert_to(coalesce(string_agg(i.id::text || E'\n', '' ORDER BY i.id), ''), 'UTF8')), 'hex') AS digest
                         FROM retention_batch x CROSS JOIN unnest(x.observation_ids) i (id) WHERE x.plan_id = p.id) b
   CROSS JOIN LATERAL (SELECT count(*) AS resources,
                              encode(sha256(convert_to(coalesce(string_agg(i.id::text || E'\n', '' ORDER BY i.id), ''), 'UTF8')), 'hex') AS digest
                         FROM retention_batch x CROSS JOIN unnest(x.resource_ids) i (id) WHERE x.plan_id = p.id) r
   CROSS JOIN LATERAL (SELECT coalesce(sum(x.versions), 0) AS versions FROM retention_batch x WHERE x.plan_id = p.id) v
   WHERE p.finished_at IS NOT NULL AND p.certificate IS NULL AND EXISTS (SELECT FROM retention_batch x WHERE x.plan_id = p.id)
   ORDER BY p.id LIMIT 1
$$;
