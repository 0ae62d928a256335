-- An audit of six years: of :full months that have :rows events together, as an exchange has that writes a hundred million in 72
-- months, and of as many months before with none. Organizations, people and kinds of requests are as uneven as real ones are.
\set ON_ERROR_STOP on
SET client_min_messages = warning;
SET maintenance_work_mem = '512MB';
SET timezone = 'UTC';

-- The parts of the months before this one.
DO $$
DECLARE
  starts timestamptz := date_trunc('month', clock_timestamp()) - make_interval(months => 71);
  parent text;
BEGIN
  FOREACH parent IN ARRAY ARRAY['audit_event', 'audit_change'] LOOP
    EXECUTE format('ALTER TABLE %1$I DETACH PARTITION %2$I', parent, parent || '_first');
    EXECUTE format('ALTER TABLE %I DISABLE TRIGGER USER', parent || '_first');
    EXECUTE format('TRUNCATE %I', parent || '_first');
    EXECUTE format('ALTER TABLE %I ENABLE TRIGGER USER', parent || '_first');
    EXECUTE format('ALTER TABLE %1$I ATTACH PARTITION %2$I FOR VALUES FROM (MINVALUE) TO (%3$L)', parent, parent || '_first', starts);
  END LOOP;
  WHILE starts <= date_trunc('month', clock_timestamp()) LOOP
    FOREACH parent IN ARRAY ARRAY['audit_event', 'audit_change'] LOOP
      PERFORM audit_part(parent, to_char(starts, '_YYYY_MM'), quote_literal(starts), quote_literal(starts + interval '1 month'));
    END LOOP;
    starts := starts + interval '1 month';
  END LOOP;
END $$;

INSERT INTO organization (id, name, type) SELECT 29000 + n, 'Bench ' || n, 'laboratory' FROM generate_series(0, 201) n ON CONFLICT DO NOTHING;

-- Indexes are made when the rows are there.
CREATE TEMPORARY TABLE later AS
SELECT i.indexrelid::regclass::text AS name, replace(pg_get_indexdef(i.indexrelid), ' ON ONLY ', ' ON ') AS definition
  FROM pg_index i WHERE i.indrelid = 'audit_event'::regclass AND NOT i.indisprimary;
SELECT format('DROP INDEX %s', name) FROM later \gexec

INSERT INTO audit_event (occurred_at, request_id, session, actor_user_id, actor_type, actor_role, client_id, action, resource_type,
                         organization_ids, study_ids, patient_ids, observation_ids, outcome, refused_by, privileged, source_address, reason)
SELECT date_trunc('month', clock_timestamp()) - make_interval(months => :full) + make_interval(secs => n * (:full * 30.4 * 86400.0 / :rows)),
       'JKJaXmPLv' || lpad(n::text, 8, '0') || '=', 'grant:' || (n % 100000), actor, kind_of_user, role, 4, action, resource,
       CASE WHEN resource = 'Session' THEN '{}' ELSE ARRAY[29000 + organization] END,
       CASE WHEN resource = 'Observation' AND kind_of_user = 'practitioner' THEN ARRAY[39000 + organization * 2 + n % 2] ELSE '{}' END,
       CASE WHEN resource = 'Session' THEN '{}'
            WHEN resource = 'Patient' THEN ARRAY(SELECT 100000 + (patient + g * 7) % 50000 FROM generate_series(1, 20) g)
            ELSE ARRAY[100000 + patient] END,
       CASE WHEN resource = 'Observation' THEN ARRAY(SELECT 60001 + patient * 100 + g FROM generate_series(1, n % 40 + 1) g) ELSE '{}' END,
       outcome, CASE WHEN outcome = 'denied' THEN 'organization' END, kind_of_user = 'super_admin',
       '203.0.113.' || n % 250, CASE WHEN kind_of_user = 'super_admin' THEN 'support of a manager' END
  FROM (SELECT n, CASE WHEN roll < 0.005 THEN 'super_admin' WHEN roll < 0.06 THEN 'patient' ELSE 'practitioner' END AS kind_of_user,
               CASE WHEN roll < 0.005 THEN 10001 WHEN roll < 0.06 THEN 9200001 + patient ELSE 80001 + (2000 * power(roll2, 2))::int END AS actor,
               CASE WHEN roll >= 0.06 THEN (ARRAY['viewer', 'member', 'manager']::member_role[])[1 + n % 3] END AS role,
               CASE WHEN roll < 0.06 THEN 'create' WHEN roll < 0.12 THEN 'execute' WHEN roll < 0.2 THEN 'read' ELSE 'search' END AS action,
               CASE WHEN roll < 0.06 THEN 'Observation' WHEN roll < 0.12 THEN 'Session' WHEN roll > 0.9 THEN 'Patient' ELSE 'Observation' END AS resource,
               CASE WHEN roll2 > 0.985 THEN 'denied' ELSE 'allowed' END AS outcome, patient,
               -- The first of 200 organizations has about a tenth of the events, the last one a few thousandths.
               (200 * power((patient % 200) / 200.0, 1.8))::int AS organization
          FROM (SELECT n, random() AS roll, random() AS roll2, (50000 * power(random(), 1.5))::int % 50000 AS patient
                  FROM generate_series(1, :rows) n) dice) rolled;

SELECT definition FROM later \gexec
VACUUM ANALYZE audit_event;
