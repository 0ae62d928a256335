-- Who was a patient of an organization, and until when: the organization's log names them in the events of that time, that of the
-- removal too. By it nobody gets access to anything else.
CREATE TABLE patient_organization_past (
  patient_id      int NOT NULL,
  organization_id int NOT NULL,
  until           timestamptz NOT NULL, -- the last time
  PRIMARY KEY (patient_id, organization_id)
);

CREATE FUNCTION keep_past_organization() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  -- At the end of the statement: not before the event that it recorded.
  INSERT INTO patient_organization_past AS p (patient_id, organization_id, until)
  VALUES (OLD.patient_id, OLD.organization_id, clock_timestamp())
  ON CONFLICT (patient_id, organization_id) DO UPDATE SET until = greatest(p.until, EXCLUDED.until);
  RETURN NULL;
END
$$;
REVOKE ALL ON FUNCTION keep_past_organization FROM PUBLIC;
CREATE TRIGGER patient_organization_past AFTER DELETE ON patient_organization FOR EACH ROW EXECUTE FUNCTION keep_past_organization();

-- Of an event at a time `t`, the patients of an organization are those of these with `t <= until`.
CREATE VIEW patient_organization_ever AS
SELECT patient_id, organization_id, 'infinity'::timestamptz AS until FROM patient_organization
 UNION ALL
SELECT patient_id, organization_id, until FROM patient_organization_past;
GRANT SELECT ON patient_organization_ever TO jhe_app, jhe_fhir_read, jhe_people;
