-- Observations are amended, never overwritten (decision 66): what one was before is a row of its own, kept as long as the observation
-- is. Nothing here rewrites or scans the observations that are there.

ALTER TABLE observation ADD COLUMN version int NOT NULL DEFAULT 1;
-- Who uploaded it for the patient; null: the patient, or somebody before this was written down.
ALTER TABLE observation ADD COLUMN uploaded_by int;

-- The payload is what the observation had, byte for byte: a version is bound to its number, so it opens as that one and no other.
CREATE TABLE observation_version (
  observation_id  bigint NOT NULL REFERENCES observation ON DELETE CASCADE,
  version         int NOT NULL,
  patient_id      int NOT NULL REFERENCES patient,
  status          text NOT NULL,
  last_updated    timestamptz NOT NULL,
  effective_start timestamptz NOT NULL,
  effective_end   timestamptz NOT NULL,
  source_id       int,
  payload         bytea NOT NULL,
  ended_at        timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (observation_id, version)
);
ALTER TABLE observation_version ALTER COLUMN payload SET STORAGE EXTERNAL;
CREATE INDEX observation_version_patient ON observation_version (patient_id);

-- Versions are never changed. They go with their observation, by retention or erasure, and not before it.
CREATE FUNCTION observation_version_stays() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  IF TG_OP = 'DELETE' THEN
    IF NOT EXISTS (SELECT FROM observation o WHERE o.id = OLD.observation_id) THEN
      RETURN OLD;
    END IF;
  END IF;
  RAISE EXCEPTION 'rows of % are never changed, and deleted with their observation', TG_TABLE_NAME USING ERRCODE = 'insufficient_privilege';
END
$$;
REVOKE ALL ON FUNCTION observation_version_stays() FROM PUBLIC;
CREATE TRIGGER observation_version_immutable BEFORE UPDATE OR DELETE ON observation_version
  FOR EACH ROW EXECUTE FUNCTION observation_version_stays();
CREATE TRIGGER observation_version_no_truncate BEFORE TRUNCATE ON observation_version
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- Makes a new version of an observation, keeps what it was, and moves it in the indexes of searches. None: it has another version by
-- now. It is the only way in which a function changes an observation: whose it is, of which kind of data and from where stays.
--
-- The caller holds the patient's row, as an upload does, so that no decision about the patient comes between.
CREATE FUNCTION amend_observation(which bigint, from_version int, to_status text, starts timestamptz, ends timestamptz,
                                  sealed bytea, sealed_before bytea)
RETURNS timestamptz LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  was observation%ROWTYPE;
  moment timestamptz;
BEGIN
  IF to_status IS NULL OR to_status NOT IN ('amended', 'corrected', 'entered-in-error') THEN
    RAISE EXCEPTION 'an observation does not become %', to_status USING ERRCODE = 'check_violation';
  END IF;
  SELECT * INTO was FROM observation o WHERE o.id = which AND o.version = from_version FOR UPDATE;
  IF NOT FOUND THEN
    RETURN NULL;
  END IF;
  -- Later than before, whatever the clock says: who polls by it misses nothing.
  moment := greatest(clock_timestamp(), was.last_updated + interval '1 microsecond');
  -- What is in the clear from before payloads were encrypted, the caller has encrypted.
  INSERT INTO observation_version (observation_id, version, patient_id, status, last_updated, effective_start, effective_end, source_id, payload)
  VALUES (was.id, was.version, was.patient_id, was.status, was.last_updated, was.effective_start, was.effective_end, was.source_id,
          coalesce(was.payload, sealed_before));
  UPDATE observation o
     SET version = was.version + 1, status = to_status, last_updated = moment, effective_start = starts, effective_end = ends,
         content = NULL, payload = sealed
   WHERE o.id = was.id;
  DELETE FROM study_observation f USING consent_current c
   WHERE c.patient_id = was.patient_id AND c.scope_id = was.scope_id
     AND f.study_id = c.study_id AND f.scope_id = was.scope_id AND f.last_updated = was.last_updated AND f.observation_id = was.id;
  INSERT INTO study_observation (study_id, scope_id, patient_id, status, last_updated, effective_start, effective_end, observation_id, source_id)
  SELECT c.study_id, was.scope_id, was.patient_id, to_status, moment, starts, ends, was.id, was.source_id
    FROM consent_current c WHERE c.patient_id = was.patient_id AND c.scope_id = was.scope_id AND c.may_search;
  UPDATE source_observation s
     SET status = to_status, last_updated = moment, effective_start = starts, effective_end = ends
   WHERE s.observation_id = was.id;
  RETURN moment;
END
$$;
REVOKE ALL ON FUNCTION amend_observation FROM PUBLIC;
GRANT EXECUTE ON FUNCTION amend_observation TO jhe_app, jhe_fhir_write;
GRANT SELECT ON observation_version TO jhe_app, jhe_fhir_read;
