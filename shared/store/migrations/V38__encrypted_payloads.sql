-- Payloads are encrypted with a key for each patient, which is not in the database. A row has its payload in the clear, as rows had
-- it before, or encrypted, and never both: what is there is encrypted by the owner in batches, once no function of an earlier version
-- runs that reads it in the clear.

-- The name of a patient's key. It is not the patient's number: a database that comes from a backup gives the same numbers to others.
ALTER TABLE patient ADD COLUMN payload_key uuid;
ALTER TABLE patient ALTER COLUMN payload_key SET DEFAULT gen_random_uuid();
ALTER TABLE patient ADD CONSTRAINT patient_has_payload_key CHECK (payload_key IS NOT NULL) NOT VALID;
UPDATE patient SET payload_key = gen_random_uuid() WHERE payload_key IS NULL;
ALTER TABLE patient VALIDATE CONSTRAINT patient_has_payload_key;

ALTER TABLE observation ADD COLUMN payload bytea;
ALTER TABLE observation ALTER COLUMN content DROP NOT NULL;
ALTER TABLE observation ADD CONSTRAINT observation_has_payload CHECK (num_nonnulls(content, payload) = 1) NOT VALID;
ALTER TABLE auxiliary ADD COLUMN payload bytea;
ALTER TABLE auxiliary ALTER COLUMN content DROP NOT NULL;
ALTER TABLE auxiliary ADD CONSTRAINT auxiliary_has_payload CHECK (num_nonnulls(content, payload) = 1) NOT VALID;
ALTER TABLE auxiliary_version ADD COLUMN payload bytea;
ALTER TABLE auxiliary_version ALTER COLUMN content DROP NOT NULL;
ALTER TABLE auxiliary_version ADD CONSTRAINT auxiliary_version_has_payload CHECK (num_nonnulls(content, payload) = 1) NOT VALID;

-- What is encrypted does not get smaller.
ALTER TABLE observation ALTER COLUMN payload SET STORAGE EXTERNAL;
ALTER TABLE auxiliary ALTER COLUMN payload SET STORAGE EXTERNAL;
ALTER TABLE auxiliary_version ALTER COLUMN payload SET STORAGE EXTERNAL;

GRANT INSERT (payload), UPDATE (payload) ON auxiliary TO jhe_app, jhe_fhir_write;

-- As in V16; and the payload is kept as it is. To encrypt it makes no version.
CREATE OR REPLACE FUNCTION auxiliary_keep() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  INSERT INTO auxiliary_version (id, version, patient_id, scope_id, source_id, upstream_id, last_updated, content, payload)
  VALUES (OLD.id, OLD.version, OLD.patient_id, OLD.scope_id, OLD.source_id, OLD.upstream_id, OLD.last_updated, OLD.content, OLD.payload);
  RETURN NULL;
END
$$;
DROP TRIGGER auxiliary_keep ON auxiliary;
CREATE TRIGGER auxiliary_keep AFTER UPDATE OF version OR DELETE ON auxiliary FOR EACH ROW EXECUTE FUNCTION auxiliary_keep();

-- Versions are never changed, but that what is in the clear is encrypted.
CREATE FUNCTION refuse_change_but_encryption() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'UPDATE' AND OLD.payload IS NULL AND NEW.content IS NULL
     AND to_jsonb(OLD) - 'content' - 'payload' = to_jsonb(NEW) - 'content' - 'payload' THEN
    RETURN NEW;
  END IF;
  RAISE EXCEPTION 'rows of % are never changed or deleted', TG_TABLE_NAME USING ERRCODE = 'insufficient_privilege';
END
$$;
REVOKE ALL ON FUNCTION refuse_change_but_encryption() FROM PUBLIC;
DROP TRIGGER auxiliary_version_immutable ON auxiliary_version;
CREATE TRIGGER auxiliary_version_immutable BEFORE UPDATE OR DELETE ON auxiliary_version
  FOR EACH ROW EXECUTE FUNCTION refuse_change_but_encryption();

-- How far what is in the clear has been encrypted: a walk over each table, and another if the last one found something.
CREATE TABLE payload_walk (
  of_table text PRIMARY KEY,
  reached  text, -- the key of the last row; none at the beginning
  found    boolean NOT NULL DEFAULT false,
  is_done  boolean NOT NULL DEFAULT false,
  made_at  timestamptz NOT NULL DEFAULT now()
);
INSERT INTO payload_walk (of_table) VALUES ('observation'), ('auxiliary'), ('auxiliary_version');
