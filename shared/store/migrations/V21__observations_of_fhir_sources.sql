-- Which FHIR Source an observation comes from; null for those that apps bring by themselves. Nothing here rewrites or scans
-- the observations that are there.

ALTER TABLE observation ADD COLUMN source_id int;
ALTER TABLE study_observation ADD COLUMN source_id int;

-- As in V2; and the feed has the source.
CREATE OR REPLACE FUNCTION observation_feed() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  INSERT INTO study_observation (study_id, scope_id, patient_id, status, last_updated, effective_start, effective_end, observation_id, source_id)
  SELECT c.study_id, n.scope_id, n.patient_id, n.status, n.last_updated, n.effective_start, n.effective_end, n.id, n.source_id
    FROM stored n
    JOIN consent_current c ON c.patient_id = n.patient_id AND c.scope_id = n.scope_id AND c.may_search;
  RETURN NULL;
END
$$;

-- As in V2; and the feed has the source.
CREATE OR REPLACE FUNCTION consent_event_apply() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  read_now   boolean := NEW.decision = 'granted' AND NEW.actions LIKE '%r%';
  search_now boolean := NEW.decision = 'granted' AND NEW.actions LIKE '%s%';
BEGIN
  INSERT INTO consent_current (patient_id, study_id, scope_id, event_id, decision, may_read, may_search, decided_at)
  VALUES (NEW.patient_id, NEW.study_id, NEW.scope_id, NEW.id, NEW.decision, read_now, search_now, NEW.decided_at)
  ON CONFLICT (patient_id, study_id, scope_id) DO UPDATE
    SET event_id = EXCLUDED.event_id, decision = EXCLUDED.decision, may_read = EXCLUDED.may_read,
        may_search = EXCLUDED.may_search, decided_at = EXCLUDED.decided_at;
  IF search_now THEN
    INSERT INTO study_observation (study_id, scope_id, patient_id, status, last_updated, effective_start, effective_end, observation_id, source_id)
    SELECT NEW.study_id, o.scope_id, o.patient_id, o.status, o.last_updated, o.effective_start, o.effective_end, o.id, o.source_id
      FROM observation o
     WHERE o.patient_id = NEW.patient_id AND o.scope_id = NEW.scope_id
    ON CONFLICT DO NOTHING;
  ELSE
    DELETE FROM study_observation f USING observation o
     WHERE o.patient_id = NEW.patient_id AND o.scope_id = NEW.scope_id
       AND f.study_id = NEW.study_id AND f.scope_id = o.scope_id
       AND f.last_updated = o.last_updated AND f.observation_id = o.id;
  END IF;
  RETURN NULL;
END
$$;

-- The observations of FHIR Sources, in page order: the access path of a search by source, as few of a patient's observations
-- come from one. It decides nothing: a search passes the same lanes as any other. Its key keeps the source, and that the source
-- is the patient's own.
CREATE TABLE source_observation (
  observation_id  bigint PRIMARY KEY,
  source_id       int NOT NULL,
  patient_id      int NOT NULL,
  scope_id        int NOT NULL,
  status          text NOT NULL,
  last_updated    timestamptz NOT NULL,
  effective_start timestamptz NOT NULL,
  effective_end   timestamptz NOT NULL,
  FOREIGN KEY (source_id, patient_id) REFERENCES fhir_source (id, patient_id)
);
CREATE INDEX source_observation_source ON source_observation (source_id);
CREATE INDEX source_observation_lane_updated ON source_observation (patient_id, scope_id, last_updated DESC, observation_id DESC);
CREATE INDEX source_observation_lane_effective ON source_observation (patient_id, scope_id, effective_start DESC, observation_id DESC);
CREATE INDEX source_observation_lasting ON source_observation (patient_id, scope_id, extract(epoch FROM effective_end - effective_start))
  WHERE extract(epoch FROM effective_end - effective_start) > 3600;
CREATE INDEX source_observation_updated ON source_observation (last_updated DESC, observation_id DESC);

CREATE FUNCTION observation_of_source() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  INSERT INTO source_observation (observation_id, source_id, patient_id, scope_id, status, last_updated, effective_start, effective_end)
  VALUES (NEW.id, NEW.source_id, NEW.patient_id, NEW.scope_id, NEW.status, NEW.last_updated, NEW.effective_start, NEW.effective_end);
  RETURN NULL;
END
$$;
REVOKE ALL ON FUNCTION observation_of_source() FROM PUBLIC;
CREATE TRIGGER observation_of_source AFTER INSERT ON observation FOR EACH ROW WHEN (NEW.source_id IS NOT NULL)
  EXECUTE FUNCTION observation_of_source();

GRANT SELECT ON source_observation TO jhe_app;
