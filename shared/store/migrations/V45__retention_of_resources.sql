-- Resources of FHIR Sources are health data as observations are, and go by the same policies: a lane of a plan is a patient and a kind of
-- data, whichever of both it is of. The time of a resource is when it was stored, since nobody here reads what is in it.
ALTER TABLE retention_batch ADD COLUMN resource_ids uuid[] NOT NULL DEFAULT '{}';

-- As in V39, with resources. What was deleted by somebody is kept as versions until its time is over.
CREATE OR REPLACE FUNCTION retention_due_lanes(of_patients int[])
RETURNS TABLE (patient_id int, scope_id int, cut timestamptz, observations bigint, study_ids int[], organization_ids int[])
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT n.patient_id, n.scope_id, n.cut, d.observations + r.resources, coalesce(g.study_ids, '{}'), coalesce(g.organization_ids, '{}')
    FROM (SELECT l.patient_id, l.scope_id, retention_cut(l.patient_id, l.scope_id, statement_timestamp()) AS cut
            FROM (SELECT p.id AS patient_id, c.id AS scope_id FROM unnest(of_patients) p (id) CROSS JOIN scope c
                   WHERE EXISTS (SELECT FROM observation o WHERE o.patient_id = p.id AND o.scope_id = c.id)
                      OR EXISTS (SELECT FROM auxiliary x WHERE x.patient_id = p.id AND x.scope_id = c.id)
                      OR EXISTS (SELECT FROM auxiliary_version v WHERE v.patient_id = p.id AND v.scope_id = c.id)) l OFFSET 0) n
   CROSS JOIN LATERAL (SELECT count(*) AS observations FROM observation o
                        WHERE o.patient_id = n.patient_id AND o.scope_id = n.scope_id AND n.cut > '-infinity'
                          AND o.last_updated < n.cut AND o.effective_end < n.cut) d
   CROSS JOIN LATERAL (SELECT count(*) AS resources
                         FROM (SELECT x.id FROM auxiliary x
                                WHERE x.patient_id = n.patient_id AND x.scope_id = n.scope_id AND x.last_updated < n.cut
                               UNION
                               SELECT v.id FROM auxiliary_version v
                                WHERE v.patient_id = n.patient_id AND v.scope_id = n.scope_id AND v.ended_at < n.cut
                                  AND NOT EXISTS (SELECT FROM auxiliary x WHERE x.id = v.id)) i
                        WHERE n.cut > '-infinity') r
   CROSS JOIN LATERAL (SELECT array_agg(DISTINCT e.study_id) AS study_ids, array_agg(DISTINCT s.organization_id) AS organization_ids
                         FROM consent_event e JOIN study s ON s.id = e.study_id
                        WHERE e.patient_id = n.patient_id AND e.scope_id = n.scope_id AND e.decision = 'granted') g
   WHERE d.observations + r.resources > 0
$$;

-- As in V39; and versions go with their resource when their time is over by a plan that was announced.
CREATE OR REPLACE FUNCTION refuse_change_but_encryption() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'UPDATE' AND OLD.payload IS NULL AND NEW.content IS NULL
     AND to_jsonb(OLD) - 'content' - 'payload' = to_jsonb(NEW) - 'content' - 'payload' THEN
    RETURN NEW;
  ELSIF TG_OP = 'DELETE' AND (is_being_erased(OLD.patient_id)
     OR EXISTS (SELECT FROM retention_lane l JOIN retention_plan p ON p.id = l.plan_id
                 WHERE l.patient_id = OLD.patient_id AND l.scope_id = OLD.scope_id AND l.closed_at IS NULL
                   AND p.delete_after <= clock_timestamp() AND OLD.last_updated < l.cut)
        AND NOT EXISTS (SELECT FROM auxiliary x WHERE x.id = OLD.id)) THEN
    RETURN OLD;
  END IF;
  RAISE EXCEPTION 'rows of % are never changed or deleted', TG_TABLE_NAME USING ERRCODE = 'insufficient_privilege';
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
  resources uuid[];
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
  SELECT array_agg(d.id ORDER BY d.id) INTO gone FROM deleted d;
  batch := batch - coalesce(cardinality(gone), 0);
  IF batch > 0 THEN
    -- Their versions go with them; and those of resources that somebody deleted long ago.
    WITH due AS MATERIALIZED (
      SELECT x.number FROM auxiliary x
       WHERE x.patient_id = lane.patient_id AND x.scope_id = lane.scope_id AND x.last_updated < until
       ORDER BY x.number LIMIT batch FOR UPDATE
    ), deleted AS (
      DELETE FROM auxiliary x USING due d WHERE x.number = d.number RETURNING x.id
    )
    SELECT coalesce(array_agg(d.id ORDER BY d.id), '{}') INTO resources FROM deleted d;
    WITH due AS MATERIALIZED (
      SELECT DISTINCT v.id FROM auxiliary_version v
       WHERE v.patient_id = lane.patient_id AND v.scope_id = lane.scope_id AND v.ended_at < until
         AND NOT EXISTS (SELECT FROM auxiliary x WHERE x.id = v.id)
       ORDER BY v.id LIMIT batch - cardinality(resources)
    )
    SELECT array_agg(n.id ORDER BY n.id) INTO resources FROM (SELECT unnest(resources) AS id UNION SELECT id FROM due) n;
    DELETE FROM auxiliary_version v WHERE v.id = ANY (resources);
  END IF;
  UPDATE retention_lane l
     SET deleted = l.deleted + coalesce(cardinality(gone), 0) + coalesce(cardinality(resources), 0),
         closed_at = CASE WHEN coalesce(cardinality(resources), 0) < batch THEN clock_timestamp() END
   WHERE l.plan_id = lane.plan_id AND l.patient_id = lane.patient_id AND l.scope_id = lane.scope_id;
  IF gone IS NOT NULL OR resources IS NOT NULL THEN
    INSERT INTO retention_batch (plan_id, observation_ids, resource_ids) VALUES (lane.plan_id, coalesce(gone, '{}'), coalesce(resources, '{}'));
    PERFORM audit_record(context || jsonb_build_object('detail', jsonb_strip_nulls(jsonb_build_object('plan', lane.plan_id, 'ids', resources))), 'allowed', NULL,
                         lane.organization_ids, lane.study_ids, ARRAY[lane.patient_id], coalesce(gone, '{}'));
  END IF;
  RETURN jsonb_build_object('more', true, 'deleted', coalesce(cardinality(gone), 0) + coalesce(cardinality(resources), 0));
END
$$;

-- As in V33, with resources.
CREATE OR REPLACE FUNCTION retention_certifiable() RETURNS jsonb LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT jsonb_build_object('plan', p.id, 'noticedAt', p.noticed_at, 'deleteAfter', p.delete_after, 'finishedAt', p.finished_at,
           'by', p.policies, 'patients', l.patients, 'kinds', l.kinds, 'observations', b.observations, 'idsSha256', b.digest)
           || CASE WHEN r.resources > 0 THEN jsonb_build_object('resources', r.resources, 'resourceIdsSha256', r.digest) ELSE '{}' END
    FROM retention_plan p
   CROSS JOIN LATERAL (SELECT count(DISTINCT l.patient_id) AS patients FROM retention_lane l WHERE l.plan_id = p.id AND l.deleted > 0) lp
   CROSS JOIN LATERAL (SELECT lp.patients, jsonb_object_agg(k.code, k.deleted) AS kinds
                         FROM (SELECT c.code, sum(l.deleted) AS deleted FROM retention_lane l JOIN scope c ON c.id = l.scope_id
                                WHERE l.plan_id = p.id AND l.deleted > 0 GROUP BY c.code) k) l
   CROSS JOIN LATERAL (SELECT count(*) AS observations,
                              encode(sha256(convert_to(string_agg(i.id::text, E'\n' ORDER BY i.id) || E'\n', 'UTF8')), 'hex') AS digest
                         FROM retention_batch x CROSS JOIN unnest(x.observation_ids) i (id) WHERE x.plan_id = p.id) b
   CROSS JOIN LATERAL (SELECT count(*) AS resources,
                              encode(sha256(convert_to(string_agg(i.id::text, E'\n' ORDER BY i.id) || E'\n', 'UTF8')), 'hex') AS digest
                         FROM retention_batch x CROSS JOIN unnest(x.resource_ids) i (id) WHERE x.plan_id = p.id) r
   WHERE p.finished_at IS NOT NULL AND p.certificate IS NULL AND EXISTS (SELECT FROM retention_batch x WHERE x.plan_id = p.id)
   ORDER BY p.id LIMIT 1
$$;
