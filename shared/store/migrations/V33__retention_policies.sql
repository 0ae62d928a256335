-- Policies of how long observations are kept, legal holds, and deletion after a notice (decision 62).

DO $$
BEGIN
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'jhe_retention') THEN
    CREATE ROLE jhe_retention NOLOGIN NOINHERIT;
  END IF;
END
$$;
GRANT USAGE ON SCHEMA public TO jhe_retention;

-- What no policy undercuts. One row, which only the database's owner writes. Whoever deletes reads it under a lock, and whoever makes
-- deleting less likely (a hold, another policy, a study that goes on) writes under one: so nothing is deleted by what they have ended.
CREATE TABLE retention_floor (
  one          boolean PRIMARY KEY DEFAULT true CHECK (one),
  minimum_days int NOT NULL DEFAULT 365 CHECK (minimum_days BETWEEN 1 AND 36500),
  notice_days  int NOT NULL DEFAULT 30 CHECK (notice_days BETWEEN 1 AND 365)
);
INSERT INTO retention_floor DEFAULT VALUES;

CREATE FUNCTION retention_in_turn() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  PERFORM FROM retention_floor FOR UPDATE;
  RETURN NULL;
END
$$;

-- A policy: of a study, of an organization, or of the deployment, which has neither. What a rule does not say, the wider policy says;
-- when that says nothing either, the data are kept.
CREATE TABLE retention_policy (
  id               int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  organization_id  int REFERENCES organization ON DELETE CASCADE,
  study_id         int REFERENCES study ON DELETE CASCADE,
  after_completion int CHECK (after_completion BETWEEN 1 AND 36500), -- days after the end of the study
  after_withdrawal int CHECK (after_withdrawal BETWEEN 1 AND 36500), -- days after the patient withdrew, or left
  by_age           int CHECK (by_age BETWEEN 1 AND 36500), -- days after what was observed, and after it was stored
  changed_by       int NOT NULL REFERENCES app_user,
  last_updated     timestamptz NOT NULL DEFAULT clock_timestamp(),
  CHECK (study_id IS NULL OR organization_id IS NULL),
  UNIQUE NULLS NOT DISTINCT (organization_id, study_id)
);

-- Refused whoever writes it. A minimum that is raised later counts by itself: see retention_cut.
CREATE FUNCTION retention_policy_floor() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  least_days int;
BEGIN
  SELECT minimum_days INTO STRICT least_days FROM retention_floor FOR UPDATE;
  IF least(NEW.after_completion, NEW.after_withdrawal, NEW.by_age) < least_days THEN
    RAISE check_violation USING MESSAGE = format('a policy of less than %s days', least_days), CONSTRAINT = 'retention_policy_floor';
  END IF;
  RETURN NEW;
END
$$;
CREATE TRIGGER retention_policy_floor BEFORE INSERT OR UPDATE ON retention_policy FOR EACH ROW EXECUTE FUNCTION retention_policy_floor();
CREATE TRIGGER retention_policy_in_turn AFTER DELETE ON retention_policy FOR EACH STATEMENT EXECUTE FUNCTION retention_in_turn();

-- What must not be deleted because of a dispute, an audit or an order. It covers a patient, everybody who is or was in a study, or
-- everybody who is or was with an organization.
CREATE TABLE legal_hold (
  id              int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  kind            text NOT NULL CHECK (kind IN ('patient', 'study', 'organization')),
  patient_id      int REFERENCES patient,
  study_id        int REFERENCES study,
  organization_id int NOT NULL REFERENCES organization, -- whose it is
  reason          text NOT NULL CHECK (reason <> ''),
  placed_by       int NOT NULL REFERENCES app_user,
  placed_at       timestamptz NOT NULL DEFAULT clock_timestamp(),
  released_by     int REFERENCES app_user,
  released_at     timestamptz,
  CHECK ((kind = 'patient') = (patient_id IS NOT NULL) AND (kind = 'study') = (study_id IS NOT NULL)),
  CHECK ((released_by IS NULL) = (released_at IS NULL))
);
CREATE INDEX legal_hold_open ON legal_hold (kind) WHERE released_at IS NULL;
CREATE INDEX legal_hold_organization ON legal_hold (organization_id, id);
CREATE TRIGGER legal_hold_in_turn BEFORE INSERT OR UPDATE ON legal_hold FOR EACH STATEMENT EXECUTE FUNCTION retention_in_turn();

-- When studies ended, and enrolments. What ended before this was kept has ended now: what is not known makes data stay longer.
CREATE TABLE study_end (
  study_id int PRIMARY KEY REFERENCES study ON DELETE CASCADE,
  ended_at timestamptz NOT NULL
);
CREATE TABLE enrolment_end (
  patient_id int NOT NULL REFERENCES patient ON DELETE CASCADE,
  study_id   int NOT NULL REFERENCES study ON DELETE CASCADE,
  ended_at   timestamptz NOT NULL,
  PRIMARY KEY (patient_id, study_id)
);

CREATE FUNCTION study_ends() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  PERFORM FROM retention_floor FOR UPDATE;
  IF NEW.status NOT IN ('completed', 'archived') THEN
    DELETE FROM study_end WHERE study_id = NEW.id;
  ELSIF TG_OP = 'INSERT' OR OLD.status NOT IN ('completed', 'archived') THEN
    INSERT INTO study_end VALUES (NEW.id, clock_timestamp()) ON CONFLICT (study_id) DO UPDATE SET ended_at = EXCLUDED.ended_at;
  END IF;
  RETURN NULL;
END
$$;
CREATE TRIGGER study_ends AFTER INSERT OR UPDATE OF status, ends_on, retention_days, access_until ON study FOR EACH ROW
  EXECUTE FUNCTION study_ends();

CREATE FUNCTION enrolment_ends() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  INSERT INTO enrolment_end
  SELECT o.patient_id, o.study_id, clock_timestamp() FROM ended o JOIN patient p ON p.id = o.patient_id JOIN study s ON s.id = o.study_id
  ON CONFLICT (patient_id, study_id) DO UPDATE SET ended_at = EXCLUDED.ended_at;
  RETURN NULL;
END
$$;
CREATE TRIGGER enrolment_ends AFTER DELETE ON study_patient REFERENCING OLD TABLE AS ended FOR EACH STATEMENT
  EXECUTE FUNCTION enrolment_ends();
REVOKE ALL ON FUNCTION retention_in_turn, retention_policy_floor, study_ends, enrolment_ends FROM PUBLIC;

INSERT INTO study_end SELECT id, clock_timestamp() FROM study WHERE status IN ('completed', 'archived');
INSERT INTO enrolment_end
SELECT DISTINCT c.patient_id, c.study_id, clock_timestamp() FROM consent_current c
 WHERE NOT EXISTS (SELECT FROM study_patient e WHERE e.patient_id = c.patient_id AND e.study_id = c.study_id);

-- Plans of deletion. The lanes of one, a patient and a kind of data each, are found and announced together, and deleted after the same time.
CREATE TABLE retention_plan (
  id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  begun_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
  seen         int NOT NULL DEFAULT 0, -- patients up to this one were looked at
  policies     jsonb NOT NULL, -- as they were then
  noticed_at   timestamptz, -- when all were found. NULL: not yet, or there was none
  delete_after timestamptz,
  finished_at  timestamptz,
  certificate  text, -- what is signed
  signature    bytea,
  public_key   text,
  CHECK ((noticed_at IS NULL) = (delete_after IS NULL)),
  CHECK ((certificate IS NULL) = (signature IS NULL) AND (certificate IS NULL) = (public_key IS NULL))
);
CREATE TABLE retention_lane (
  id               bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
  plan_id          bigint NOT NULL REFERENCES retention_plan,
  patient_id       int NOT NULL,
  scope_id         int NOT NULL REFERENCES scope,
  cut              timestamptz NOT NULL, -- nothing later is deleted by this plan
  observations     bigint NOT NULL, -- that were found
  deleted          bigint NOT NULL DEFAULT 0,
  study_ids        int[] NOT NULL, -- that the patient ever granted it to
  organization_ids int[] NOT NULL, -- of these
  closed_at        timestamptz,
  PRIMARY KEY (plan_id, patient_id, scope_id)
);
CREATE UNIQUE INDEX retention_lane_open ON retention_lane (patient_id, scope_id) WHERE closed_at IS NULL;
CREATE INDEX retention_lane_patient ON retention_lane (patient_id, plan_id);
CREATE INDEX retention_lane_organization ON retention_lane USING gin (organization_ids);
-- What was deleted, by its numbers.
CREATE TABLE retention_batch (
  id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  plan_id         bigint NOT NULL REFERENCES retention_plan,
  observation_ids bigint[] NOT NULL
);
CREATE INDEX retention_batch_plan ON retention_batch (plan_id);
-- A certificate is never changed.
CREATE FUNCTION retention_certified() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF OLD.certificate IS NOT NULL THEN
    RAISE EXCEPTION 'a certificate is never changed or deleted' USING ERRCODE = 'insufficient_privilege';
  END IF;
  RETURN CASE TG_OP WHEN 'DELETE' THEN OLD ELSE NEW END;
END
$$;
REVOKE ALL ON FUNCTION retention_certified FROM PUBLIC;
CREATE TRIGGER retention_certified BEFORE UPDATE OR DELETE ON retention_plan FOR EACH ROW EXECUTE FUNCTION retention_certified();
CREATE TRIGGER retention_batch_immutable BEFORE UPDATE OR DELETE ON retention_batch FOR EACH ROW EXECUTE FUNCTION refuse_change();

-- Until when the observations of a patient and a kind of data are due at a time: what is older may go. Every study that the patient
-- ever granted the kind to has to let it go: by its end, by the patient's withdrawal, or by age. What is not known, or held, stays.
CREATE FUNCTION retention_cut(of_patient int, of_scope int, at timestamptz) RETURNS timestamptz LANGUAGE sql STABLE SECURITY DEFINER
  SET search_path = pg_catalog, public, pg_temp AS $$
  WITH floor AS MATERIALIZED (
    SELECT minimum_days, (SELECT d.by_age FROM retention_policy d WHERE d.organization_id IS NULL AND d.study_id IS NULL) AS by_age
      FROM retention_floor
  ), held AS (
    SELECT EXISTS (
      SELECT FROM legal_hold h
       WHERE h.released_at IS NULL AND CASE h.kind
         WHEN 'patient' THEN h.patient_id = of_patient
         WHEN 'study' THEN EXISTS (SELECT FROM study_patient e WHERE e.patient_id = of_patient AND e.study_id = h.study_id)
                        OR EXISTS (SELECT FROM consent_current c WHERE c.patient_id = of_patient AND c.study_id = h.study_id)
         ELSE EXISTS (SELECT FROM patient_organization o WHERE o.patient_id = of_patient AND o.organization_id = h.organization_id)
           OR EXISTS (SELECT FROM consent_current c JOIN study s ON s.id = c.study_id
                       WHERE c.patient_id = of_patient AND s.organization_id = h.organization_id) END) AS is
  ), granted AS (
    SELECT DISTINCT g.study_id FROM consent_event g
     WHERE g.patient_id = of_patient AND g.scope_id = of_scope AND g.decision = 'granted'
  ), said AS (
    SELECT coalesce(own.after_completion, org.after_completion, dep.after_completion) AS after_completion,
           coalesce(own.after_withdrawal, org.after_withdrawal, dep.after_withdrawal) AS after_withdrawal,
           coalesce(own.by_age, org.by_age, dep.by_age) AS by_age,
           s.retention_days,
           -- No access lasts any more when the data go.
           CASE WHEN s.status IN ('completed', 'archived') THEN x.ended_at
                WHEN s.status = 'active' THEN (s.ends_on + 1)::timestamp AT TIME ZONE 'UTC' END AS ended_at,
           s.access_until,
           CASE WHEN c.decision <> 'granted' AND e.patient_id IS NULL THEN greatest(c.decided_at, l.ended_at)
                WHEN c.decision <> 'granted' THEN c.decided_at
                WHEN e.patient_id IS NULL THEN l.ended_at END AS left_at
      FROM granted g JOIN study s ON s.id = g.study_id
      JOIN consent_current c ON c.patient_id = of_patient AND c.scope_id = of_scope AND c.study_id = s.id
      LEFT JOIN retention_policy own ON own.study_id = s.id
      LEFT JOIN retention_policy org ON org.organization_id = s.organization_id
      LEFT JOIN retention_policy dep ON dep.organization_id IS NULL AND dep.study_id IS NULL
      LEFT JOIN study_end x ON x.study_id = s.id
      LEFT JOIN study_patient e ON e.patient_id = of_patient AND e.study_id = s.id
      LEFT JOIN enrolment_end l ON l.patient_id = of_patient AND l.study_id = s.id
  ), each AS (
    SELECT CASE
             WHEN d.after_completion IS NOT NULL AND d.access_until <= at
                  AND d.ended_at + make_interval(days => greatest(d.after_completion, d.retention_days, f.minimum_days)) <= at THEN 'infinity'
             WHEN d.after_withdrawal IS NOT NULL
                  AND d.left_at + make_interval(days => greatest(d.after_withdrawal, f.minimum_days)) <= at THEN 'infinity'
             WHEN d.by_age IS NOT NULL THEN at - make_interval(days => greatest(d.by_age, f.minimum_days))
             ELSE '-infinity' END::timestamptz AS cut
      FROM said d CROSS JOIN floor f
  )
  SELECT CASE WHEN h.is THEN '-infinity'
              -- That no study was ever given goes by age alone, by the deployment's policy.
              ELSE coalesce((SELECT min(cut) FROM each),
                            CASE WHEN f.by_age IS NOT NULL THEN at - make_interval(days => greatest(f.by_age, f.minimum_days)) END,
                            '-infinity') END
    FROM floor f CROSS JOIN held h
$$;

-- The lanes of some patients after one of whom something is due, with how much of it.
CREATE FUNCTION retention_due_lanes(of_patients int[])
RETURNS TABLE (patient_id int, scope_id int, cut timestamptz, observations bigint, study_ids int[], organization_ids int[])
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT n.patient_id, n.scope_id, n.cut, d.observations, coalesce(g.study_ids, '{}'), coalesce(g.organization_ids, '{}')
    FROM (SELECT l.patient_id, l.scope_id, retention_cut(l.patient_id, l.scope_id, statement_timestamp()) AS cut
            FROM (SELECT p.id AS patient_id, c.id AS scope_id FROM unnest(of_patients) p (id) CROSS JOIN scope c
                   WHERE EXISTS (SELECT FROM observation o WHERE o.patient_id = p.id AND o.scope_id = c.id)) l) n
   CROSS JOIN LATERAL (SELECT count(*) AS observations FROM observation o
                        WHERE o.patient_id = n.patient_id AND o.scope_id = n.scope_id AND n.cut > '-infinity'
                          AND o.last_updated < n.cut AND o.effective_end < n.cut) d
   CROSS JOIN LATERAL (SELECT array_agg(DISTINCT e.study_id) AS study_ids, array_agg(DISTINCT s.organization_id) AS organization_ids
                         FROM consent_event e JOIN study s ON s.id = e.study_id
                        WHERE e.patient_id = n.patient_id AND e.scope_id = n.scope_id AND e.decision = 'granted') g
   WHERE d.observations > 0
$$;

-- The policies and what they are held to, for the record.
CREATE FUNCTION retention_policies() RETURNS jsonb LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT jsonb_build_object('minimumDays', f.minimum_days, 'noticeDays', f.notice_days, 'policies', coalesce((
           SELECT jsonb_agg(jsonb_strip_nulls(jsonb_build_object(
                    'organizationId', p.organization_id, 'studyId', p.study_id, 'afterCompletion', p.after_completion,
                    'afterWithdrawal', p.after_withdrawal, 'byAge', p.by_age, 'changedBy', p.changed_by)) ORDER BY p.id)
             FROM retention_policy p), '[]'))
    FROM retention_floor f
$$;

-- Looks at the next patients for what is due, and adds it to the plan that is being made. A new one is begun once a day. When all patients
-- were looked at, the plan is announced, with the time after which it is carried out. `more`: call it again.
CREATE FUNCTION retention_collect(context jsonb, most int, now_due boolean) RETURNS jsonb LANGUAGE plpgsql SECURITY DEFINER
  SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  plan retention_plan;
  patients int[];
  lanes int;
  announced timestamptz;
BEGIN
  IF NOT EXISTS (SELECT FROM retention_policy) THEN
    RETURN jsonb_build_object('more', false, 'lanes', 0);
  END IF;
  PERFORM pg_advisory_xact_lock(hashtextextended('retention_collect', 0));
  SELECT * INTO plan FROM retention_plan p WHERE p.noticed_at IS NULL AND p.finished_at IS NULL FOR UPDATE;
  IF NOT FOUND THEN
    IF NOT now_due AND EXISTS (SELECT FROM retention_plan p WHERE p.begun_at > clock_timestamp() - interval '20 hours') THEN
      RETURN jsonb_build_object('more', false, 'lanes', 0);
    END IF;
    INSERT INTO retention_plan (policies) VALUES (retention_policies()) RETURNING * INTO plan;
  END IF;
  patients := ARRAY(SELECT p.id FROM patient p WHERE p.id > plan.seen ORDER BY p.id LIMIT least(greatest(most, 1), 1000));
  WITH found AS (
    INSERT INTO retention_lane (plan_id, patient_id, scope_id, cut, observations, study_ids, organization_ids)
    -- What comes from now on is not announced by this plan.
    SELECT plan.id, d.patient_id, d.scope_id, least(d.cut, statement_timestamp()), d.observations, d.study_ids, d.organization_ids
      FROM retention_due_lanes(patients) d
        ON CONFLICT (patient_id, scope_id) WHERE closed_at IS NULL DO NOTHING
    RETURNING retention_lane.patient_id, retention_lane.study_ids, retention_lane.organization_ids
  ), recorded AS (
    SELECT count(*)::int AS found,
           CASE WHEN count(*) > 0 THEN
             audit_record(context || jsonb_build_object('action', 'create', 'detail', jsonb_build_object('plan', plan.id)), 'allowed', NULL,
                          ARRAY(SELECT DISTINCT unnest(f.organization_ids) FROM found f ORDER BY 1),
                          ARRAY(SELECT DISTINCT unnest(f.study_ids) FROM found f ORDER BY 1),
                          ARRAY(SELECT DISTINCT f.patient_id FROM found f ORDER BY 1), '{}') END
      FROM found
  )
  SELECT r.found INTO lanes FROM recorded r;
  IF cardinality(patients) > 0 THEN
    UPDATE retention_plan p SET seen = patients[cardinality(patients)] WHERE p.id = plan.id;
    RETURN jsonb_build_object('more', true, 'lanes', lanes);
  END IF;
  UPDATE retention_plan p
     SET noticed_at = CASE WHEN l.is THEN clock_timestamp() END, finished_at = CASE WHEN NOT l.is THEN clock_timestamp() END,
         delete_after = CASE WHEN l.is THEN clock_timestamp() + make_interval(days => f.notice_days) END
    FROM (SELECT EXISTS (SELECT FROM retention_lane x WHERE x.plan_id = plan.id) AS is) l CROSS JOIN retention_floor f
   WHERE p.id = plan.id
  RETURNING p.delete_after INTO announced;
  RETURN jsonb_build_object('more', false, 'lanes', lanes, 'plan', plan.id, 'delete_after', announced);
END
$$;

-- Deletes a batch of what was announced and is due still, judged again now. `more`: there may be another. It takes turns with whoever
-- decides something about the patient, and waits for nobody for long.
CREATE FUNCTION retention_delete(context jsonb, most int) RETURNS jsonb LANGUAGE plpgsql SECURITY DEFINER
  SET search_path = pg_catalog, public, pg_temp SET lock_timeout = '50ms' AS $$
DECLARE
  lane retention_lane;
  floor_now retention_floor;
  until timestamptz;
  batch int := least(greatest(most, 1), 1000);
  gone bigint[];
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
  UPDATE retention_lane l
     SET deleted = l.deleted + coalesce(cardinality(gone), 0),
         closed_at = CASE WHEN coalesce(cardinality(gone), 0) < batch THEN clock_timestamp() END
   WHERE l.plan_id = lane.plan_id AND l.patient_id = lane.patient_id AND l.scope_id = lane.scope_id;
  IF gone IS NOT NULL THEN
    INSERT INTO retention_batch (plan_id, observation_ids) VALUES (lane.plan_id, gone);
    PERFORM audit_record(context || jsonb_build_object('detail', jsonb_build_object('plan', lane.plan_id)), 'allowed', NULL,
                         lane.organization_ids, lane.study_ids, ARRAY[lane.patient_id], gone);
  END IF;
  RETURN jsonb_build_object('more', true, 'deleted', coalesce(cardinality(gone), 0));
END
$$;

-- What is to be certified of a plan that is finished: the first one without a certificate by which something was deleted.
CREATE FUNCTION retention_certifiable() RETURNS jsonb LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT jsonb_build_object('plan', p.id, 'noticedAt', p.noticed_at, 'deleteAfter', p.delete_after, 'finishedAt', p.finished_at,
           'by', p.policies, 'patients', l.patients, 'kinds', l.kinds, 'observations', b.observations, 'idsSha256', b.digest)
    FROM retention_plan p
   CROSS JOIN LATERAL (SELECT count(DISTINCT l.patient_id) AS patients FROM retention_lane l WHERE l.plan_id = p.id AND l.deleted > 0) lp
   CROSS JOIN LATERAL (SELECT lp.patients, jsonb_object_agg(k.code, k.deleted) AS kinds
                         FROM (SELECT c.code, sum(l.deleted) AS deleted FROM retention_lane l JOIN scope c ON c.id = l.scope_id
                                WHERE l.plan_id = p.id AND l.deleted > 0 GROUP BY c.code) k) l
   CROSS JOIN LATERAL (SELECT count(*) AS observations,
                              encode(sha256(convert_to(string_agg(i.id::text, E'\n' ORDER BY i.id) || E'\n', 'UTF8')), 'hex') AS digest
                         FROM retention_batch x CROSS JOIN unnest(x.observation_ids) i (id) WHERE x.plan_id = p.id) b
   WHERE p.finished_at IS NOT NULL AND p.certificate IS NULL AND EXISTS (SELECT FROM retention_batch x WHERE x.plan_id = p.id)
   ORDER BY p.id LIMIT 1
$$;

-- Keeps a certificate. False: there is one already, or nothing to certify.
CREATE FUNCTION retention_certify(context jsonb, of_plan bigint, signed text, by_signature bytea, key text) RETURNS boolean LANGUAGE plpgsql
  SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  UPDATE retention_plan p SET certificate = signed, signature = by_signature, public_key = key
   WHERE p.id = of_plan AND p.finished_at IS NOT NULL AND p.certificate IS NULL;
  IF FOUND THEN
    PERFORM audit_record(context || jsonb_build_object('action', 'create', 'detail', jsonb_build_object('plan', of_plan,
                           'certificate', encode(sha256(convert_to(signed, 'UTF8')), 'hex'))), 'allowed', NULL, '{}', '{}', '{}', '{}');
  END IF;
  RETURN FOUND;
END
$$;

REVOKE ALL ON FUNCTION retention_cut, retention_due_lanes, retention_policies, retention_collect, retention_delete, retention_certifiable,
                       retention_certify FROM PUBLIC;
-- Only who does this deletes observations. It has no right to read one.
GRANT EXECUTE ON FUNCTION retention_collect, retention_delete, retention_certifiable, retention_certify,
                          retention_due, retention_begin, retention_forget, retention_end, retention_due_lanes TO jhe_retention;
GRANT SELECT ON retention_run, retention_plan, retention_batch, retention_policy, retention_floor TO jhe_retention;
GRANT SELECT (id) ON patient TO jhe_retention;
GRANT SELECT (id, code) ON scope TO jhe_retention;
-- Who cares for people and studies sees what is to come, and sets it.
GRANT EXECUTE ON FUNCTION retention_due_lanes TO jhe_app, jhe_people;
GRANT SELECT ON retention_policy, retention_floor, legal_hold, retention_plan, retention_lane, study_end, enrolment_end TO jhe_app, jhe_people;
GRANT INSERT (organization_id, study_id, after_completion, after_withdrawal, by_age, changed_by),
      UPDATE (after_completion, after_withdrawal, by_age, changed_by, last_updated) ON retention_policy TO jhe_app, jhe_people;
GRANT INSERT (kind, patient_id, study_id, organization_id, reason, placed_by), UPDATE (released_by, released_at) ON legal_hold TO jhe_app, jhe_people;
