-- Exports of studies: jobs, and where in the archive the parts of their files are. What is in the parts is encrypted there, each with
-- the key of its patient; nothing of it is here.

CREATE TABLE export_job (
  id              uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  user_id         int NOT NULL REFERENCES app_user (id) ON DELETE CASCADE,
  practitioner_id int NOT NULL REFERENCES practitioner (id) ON DELETE CASCADE,
  client_id       int NOT NULL REFERENCES oauth_client (id) ON DELETE CASCADE,
  study_id        int NOT NULL REFERENCES study (id) ON DELETE CASCADE,
  request_id      text NOT NULL, -- of the kick-off: what is read for it is on record under the same
  request_url     text NOT NULL,
  types           text[] NOT NULL CHECK (types <> '{}'),
  since           timestamptz,
  format          text NOT NULL CHECK (format IN ('ndjson', 'csv', 'parquet')),
  requested_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
  expires_at      timestamptz NOT NULL,
  state           text NOT NULL DEFAULT 'running' CHECK (state IN ('running', 'done', 'failed')),
  ended_at        timestamptz,
  -- How far it is: all patients before this one, and of this one the rows up to a position.
  at_patient      int NOT NULL DEFAULT 0,
  after_class     smallint,
  after_time      timestamptz,
  after_number    bigint,
  files           int NOT NULL DEFAULT 0,
  attempts        int NOT NULL DEFAULT 0, -- since it last got further
  -- Who works on it, until when. Who comes with another name changes nothing.
  holder          uuid,
  held_until      timestamptz,
  CHECK ((state = 'running') = (ended_at IS NULL)),
  CHECK ((holder IS NULL) = (held_until IS NULL)),
  CHECK (num_nonnulls(after_class, after_number) IN (0, 2))
);
-- One export of a study runs for an account.
CREATE UNIQUE INDEX export_job_running ON export_job (user_id, study_id) WHERE state = 'running';
CREATE INDEX export_job_due ON export_job (held_until NULLS FIRST, requested_at) WHERE state = 'running';
CREATE INDEX export_job_end ON export_job (expires_at);
CREATE INDEX export_job_study ON export_job (study_id);

CREATE TABLE export_file (
  job_id uuid NOT NULL REFERENCES export_job (id) ON DELETE CASCADE,
  number int NOT NULL,
  type   text NOT NULL,
  code   text, -- of all observations in it, where there is a table for each kind of data
  object uuid NOT NULL, -- its name in the archive, below that of the job
  torn   int NOT NULL DEFAULT 0, -- how often a patient was erased who had a part in it
  mended int NOT NULL DEFAULT 0, -- up to which of these it was written anew, as object.mended
  PRIMARY KEY (job_id, number)
);

CREATE TABLE export_part (
  job_id     uuid NOT NULL,
  number     int NOT NULL,
  part       int NOT NULL,
  patient_id int NOT NULL REFERENCES patient (id) ON DELETE CASCADE,
  at         int NOT NULL, -- where it begins in the object
  length     int NOT NULL,
  numbers    bigint[] NOT NULL, -- of its rows, in order: a row is shown while whoever asks may see what has this number
  PRIMARY KEY (job_id, number, part),
  FOREIGN KEY (job_id, number) REFERENCES export_file (job_id, number) ON DELETE CASCADE
);
CREATE INDEX export_part_patient ON export_part (patient_id);

CREATE INDEX export_file_torn ON export_file (job_id) WHERE torn > mended;

-- A patient who is deleted, which is by an erasure, takes their parts along. The bytes of these go when the file is written anew.
CREATE FUNCTION patient_leaves_exports() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  UPDATE export_file f SET torn = f.torn + 1
   WHERE (f.job_id, f.number) IN (SELECT p.job_id, p.number FROM export_part p WHERE p.patient_id = OLD.id);
  RETURN OLD;
END
$$;
REVOKE ALL ON FUNCTION patient_leaves_exports() FROM PUBLIC;
CREATE TRIGGER patient_leaves_exports BEFORE DELETE ON patient FOR EACH ROW EXECUTE FUNCTION patient_leaves_exports();

GRANT SELECT ON export_job, export_file, export_part TO jhe_app, jhe_fhir_read, jhe_fhir_write;
-- Who asks and who is asked.
GRANT INSERT (user_id, practitioner_id, client_id, study_id, request_id, request_url, types, since, format, expires_at), DELETE
   ON export_job TO jhe_app, jhe_fhir_read;
-- Who carries it out.
GRANT UPDATE (state, ended_at, at_patient, after_class, after_time, after_number, files, attempts, holder, held_until), DELETE
   ON export_job TO jhe_app, jhe_fhir_write;
GRANT INSERT ON export_file, export_part TO jhe_app, jhe_fhir_write;
GRANT UPDATE (mended) ON export_file TO jhe_app, jhe_fhir_write;
