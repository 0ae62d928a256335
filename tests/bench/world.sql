-- The data of the benchmarks: one study of 1,000 patients with :rows observations among them, two scopes, all granted.
-- Run by the owner in a copy of the template. psql variables: rows, chunk.
\set ON_ERROR_STOP on
INSERT INTO organization (id, name, type) VALUES (29001, 'Bench', 'laboratory');
INSERT INTO app_user (id, email, user_type) VALUES (19000, 'bench@example.com', 'practitioner');
INSERT INTO practitioner (id, user_id) VALUES (89001, 19000);
INSERT INTO organization_member VALUES (29001, 89001, 'member');
INSERT INTO study (id, organization_id, name) VALUES (39001, 29001, 'Bench study');
INSERT INTO study_scope_request VALUES (39001, 50002), (39001, 50004);
INSERT INTO app_user (id, email, user_type) SELECT 200000 + g, 'bench' || g || '@example.com', 'patient' FROM generate_series(0, 999) g;
INSERT INTO patient (id, user_id, name_family, name_given, birth_date, telecom_email)
SELECT 100000 + g, 200000 + g, 'Family', 'Given', '1980-01-01', 'bench' || g || '@example.com' FROM generate_series(0, 999) g;
INSERT INTO patient_organization SELECT 100000 + g, 29001 FROM generate_series(0, 999) g;
INSERT INTO study_patient (study_id, organization_id, patient_id) SELECT 39001, 29001, 100000 + g FROM generate_series(0, 999) g;
INSERT INTO consent_event (patient_id, study_id, scope_id, decision, decided_by, request_id)
SELECT 100000 + g, 39001, s, 'granted', 200000 + g, 'bench' FROM generate_series(0, 999) g, unnest(ARRAY[50002, 50004]) s;

CREATE PROCEDURE bench_fill(total bigint, chunk bigint) LANGUAGE plpgsql AS $$
DECLARE done bigint := 0;
BEGIN
  WHILE done < total LOOP
    INSERT INTO observation (patient_id, scope_id, data_source_id, status, last_updated, effective_start, effective_end, content)
    SELECT 100000 + g % 1000, CASE WHEN g / 1000 % 2 = 0 THEN 50002 ELSE 50004 END, 70001, 'final', at, at, at,
           '{"identifier":[{"system":"https://bench.example","value":"' || gen_random_uuid() || '"}],"status":"final","code":{"coding":[{"system":"https://w3id.org/openmhealth","code":"omh:blood-pressure:4.0","display":"Blood pressure"}]},"effectiveDateTime":"2025-09-21T19:55:00Z","subject":{"reference":"Patient/40005","identifier":{"system":"https://jupyterhealth.org/fhir/identifier/jhe-user-id","value":"10011"}},"device":{"reference":"Device/70001"},"valueAttachment":{"contentType":"application/json","data":"'
           || translate(encode(('{"header":{"uuid":"' || gen_random_uuid() || '","schema_id":{"namespace":"omh","name":"blood-pressure","version":"4.0"},"source_creation_date_time":"2025-09-21T19:55:00Z","modality":"sensed","external_datasheets":[{"datasheet_type":"manufacturer","datasheet_reference":"CareX"}]},"body":{"systolic_blood_pressure":{"unit":"mmHg","value":122},"diastolic_blood_pressure":{"unit":"mmHg","value":77},"effective_time_frame":{"date_time":"2025-09-21T19:55:00Z"}}}')::bytea, 'base64'), E'\n', '') || '"}}'
      FROM (SELECT g, timestamptz '2026-01-01' + (g - total) * interval '1 second' AS at
              FROM generate_series(done, least(done + chunk, total) - 1) g) x;
    done := done + chunk;
    COMMIT;
  END LOOP;
END
$$;
CALL bench_fill(:rows, :chunk);
DROP PROCEDURE bench_fill;
VACUUM ANALYZE;
