-- The life of a study: when it starts and ends, until when its researchers have access, how long its data are kept. And what
-- the functions may now do with studies and data sources.

ALTER TABLE study ADD COLUMN starts_on date;
ALTER TABLE study ADD COLUMN ends_on date; -- the last day, by UTC
-- Kept by every change of the life, and compared with the clock by the view below: nothing has to run when a study ends.
ALTER TABLE study ADD COLUMN access_until timestamptz NOT NULL DEFAULT 'infinity';
ALTER TABLE study ADD COLUMN retention_reference text CHECK (retention_reference <> ''); -- the policy's name or address
ALTER TABLE study ADD COLUMN retention_days int CHECK (retention_days > 0); -- how long after the end the data are kept
-- A study that ever had patients is never deleted.
ALTER TABLE study ADD COLUMN ever_enrolled boolean NOT NULL DEFAULT false;

UPDATE study SET access_until = '-infinity' WHERE status <> 'active';
UPDATE study s SET ever_enrolled = true
 WHERE EXISTS (SELECT FROM study_patient e WHERE e.study_id = s.id) OR EXISTS (SELECT FROM consent_event c WHERE c.study_id = s.id);

ALTER TABLE study ADD CONSTRAINT study_access CHECK (status IN ('active', 'completed') OR access_until = '-infinity') NOT VALID;
ALTER TABLE study VALIDATE CONSTRAINT study_access;
ALTER TABLE study ADD CONSTRAINT study_days CHECK (ends_on >= starts_on) NOT VALID;
ALTER TABLE study VALIDATE CONSTRAINT study_days;

CREATE FUNCTION study_enrolled() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  UPDATE study SET ever_enrolled = true WHERE NOT ever_enrolled AND id IN (SELECT study_id FROM added);
  RETURN NULL;
END
$$;
REVOKE ALL ON FUNCTION study_enrolled() FROM PUBLIC;
CREATE TRIGGER study_enrolled AFTER INSERT ON study_patient REFERENCING NEW TABLE AS added
  FOR EACH STATEMENT EXECUTE FUNCTION study_enrolled();

-- Since when a study asks for a scope. A decision made before counts no more: when a request is taken back and made again,
-- patients decide again, and nothing becomes visible by it.
ALTER TABLE study_scope_request ADD COLUMN requested_at timestamptz NOT NULL DEFAULT '-infinity';
ALTER TABLE study_scope_request ALTER COLUMN requested_at SET DEFAULT clock_timestamp();

-- The access rule, once. As in V2; a study gives access while its time lasts, and a decision counts since the study asks.
CREATE OR REPLACE VIEW practitioner_permit AS
SELECT m.practitioner_id, m.role, s.organization_id, c.study_id, c.patient_id, c.scope_id, c.may_read, c.may_search
  FROM consent_current c
  JOIN study s ON s.id = c.study_id AND s.access_until > now()
  JOIN study_patient e ON e.study_id = c.study_id AND e.patient_id = c.patient_id
  JOIN study_scope_request r ON r.study_id = c.study_id AND r.scope_id = c.scope_id AND r.requested_at <= c.decided_at
  JOIN organization_member m ON m.organization_id = s.organization_id
 WHERE c.may_read OR c.may_search;

-- The data sources of a client: what its app brings data from.
CREATE TABLE client_data_source (
  client_id      int NOT NULL REFERENCES oauth_client ON DELETE CASCADE,
  data_source_id int NOT NULL REFERENCES data_source,
  PRIMARY KEY (client_id, data_source_id)
);

-- A data source that is deleted takes no new observations. Its row stays, because observations name it.
ALTER TABLE data_source ADD COLUMN deleted_at timestamptz;

GRANT INSERT (organization_id, name, description, icon_url, status, starts_on, ends_on, access_until, retention_reference, retention_days),
      UPDATE (name, description, icon_url, status, starts_on, ends_on, access_until, retention_reference, retention_days, last_updated),
      DELETE ON study TO jhe_app;
GRANT INSERT (study_id, scope_id), DELETE ON study_scope_request TO jhe_app;
GRANT INSERT, DELETE ON study_data_source, study_client, data_source_scope, client_data_source TO jhe_app;
GRANT SELECT ON client_data_source TO jhe_app;
GRANT INSERT (name, type), UPDATE (name, type, last_updated, deleted_at) ON data_source TO jhe_app;
