-- Erasure: who wants to be forgotten, and who left the last organization long ago. What is asked for takes effect at once: nobody finds the
-- patient any more and the account is closed. What there is of them is deleted by the one function that may destroy their key, in one
-- transaction, unless a legal hold keeps it: then when that ends.

-- Numbers, times and a reference: what is left to show that somebody was erased, and when. It names nobody.
CREATE TABLE erasure (
  id                      uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  patient_id              int NOT NULL,
  user_id                 int NOT NULL,
  payload_key             uuid NOT NULL UNIQUE, -- of a patient: a number may be another's in a database that comes from a backup
  why                     text NOT NULL CHECK (why IN ('own_request', 'request_on_behalf', 'left')),
  requested_by            int, -- NULL: nobody, the time was over
  authorization_reference text CHECK (authorization_reference <> ''),
  requested_at            timestamptz NOT NULL DEFAULT clock_timestamp(),
  begun_at                timestamptz, -- from here on no legal hold stops it: the key goes
  erased_at               timestamptz, -- NULL: it is held, or being carried out
  event_id                bigint, -- of the audit: that it was carried out
  CHECK ((why = 'request_on_behalf') = (authorization_reference IS NOT NULL)),
  CHECK ((erased_at IS NULL) = (event_id IS NULL)),
  CHECK (erased_at IS NULL OR begun_at IS NOT NULL)
);
CREATE INDEX erasure_patient ON erasure (patient_id);
CREATE INDEX erasure_user ON erasure (user_id);
GRANT SELECT ON erasure TO jhe_app, jhe_people;
GRANT SELECT (user_id) ON erasure TO jhe_fhir_read; -- the log names nobody who is to be erased

-- Since when a patient is of no organization, of those who were of one. Who joins again stays.
ALTER TABLE patient ADD COLUMN left_at timestamptz;
CREATE FUNCTION patient_leaves() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  -- One after the other: of two who take a patient out of the last two organizations one has to see it.
  PERFORM FROM patient p WHERE p.id IN (SELECT l.patient_id FROM left_them l) ORDER BY p.id FOR NO KEY UPDATE;
  UPDATE patient p SET left_at = clock_timestamp()
   WHERE p.id IN (SELECT l.patient_id FROM left_them l) AND p.left_at IS NULL
     AND NOT EXISTS (SELECT FROM patient_organization o WHERE o.patient_id = p.id);
  RETURN NULL;
END
$$;
CREATE FUNCTION patient_joins() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  -- Who accepts while somebody asks for their erasure waits for it here, and joins nothing then.
  PERFORM FROM patient p WHERE p.id IN (SELECT j.patient_id FROM joined j) ORDER BY p.id FOR KEY SHARE;
  DELETE FROM patient_organization o USING joined j, erasure e, patient p
   WHERE p.id = j.patient_id AND e.payload_key = p.payload_key AND (o.patient_id, o.organization_id) = (j.patient_id, j.organization_id);
  UPDATE patient p SET left_at = NULL
   WHERE p.id IN (SELECT j.patient_id FROM joined j) AND p.left_at IS NOT NULL
     AND NOT EXISTS (SELECT FROM erasure e WHERE e.payload_key = p.payload_key);
  RETURN NULL;
END
$$;
REVOKE ALL ON FUNCTION patient_leaves(), patient_joins() FROM PUBLIC;
CREATE TRIGGER patient_leaves AFTER DELETE ON patient_organization REFERENCING OLD TABLE AS left_them
  FOR EACH STATEMENT EXECUTE FUNCTION patient_leaves();
CREATE TRIGGER patient_joins AFTER INSERT ON patient_organization REFERENCING NEW TABLE AS joined
  FOR EACH STATEMENT EXECUTE FUNCTION patient_joins();

-- The ledger outlives the patient: who decided what and when, by numbers. So it has no key to them, and looks itself when a decision is made.
ALTER TABLE consent_event DROP CONSTRAINT consent_event_patient_id_fkey, DROP CONSTRAINT consent_event_decided_by_fkey;
CREATE FUNCTION consent_event_refers() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  IF NOT EXISTS (SELECT FROM patient WHERE id = NEW.patient_id) OR NOT EXISTS (SELECT FROM app_user WHERE id = NEW.decided_by) THEN
    RAISE foreign_key_violation USING MESSAGE = 'a decision is of a patient and by somebody';
  END IF;
  RETURN NEW;
END
$$;
REVOKE ALL ON FUNCTION consent_event_refers() FROM PUBLIC;
-- After consent_event_order, which has locked the patient.
CREATE TRIGGER consent_event_refers BEFORE INSERT ON consent_event FOR EACH ROW EXECUTE FUNCTION consent_event_refers();

-- A hold outlives the patient, too, by number. Who places one for a patient has to be of their organization at that time: the statement
-- that does it looks.
ALTER TABLE legal_hold DROP CONSTRAINT legal_hold_patient_id_fkey;

-- Whether a legal hold covers a patient: their own, or one for everybody who is or was in a study or with an organization. Also of who
-- left it: asking to be erased is leaving.
CREATE FUNCTION is_held(of_patient int) RETURNS boolean LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT EXISTS (
    SELECT FROM legal_hold h
     WHERE h.released_at IS NULL AND CASE h.kind
       WHEN 'patient' THEN h.patient_id = of_patient
       WHEN 'study' THEN EXISTS (SELECT FROM study_patient e WHERE e.patient_id = of_patient AND e.study_id = h.study_id)
                      OR EXISTS (SELECT FROM enrolment_end e WHERE e.patient_id = of_patient AND e.study_id = h.study_id)
                      OR EXISTS (SELECT FROM consent_current c WHERE c.patient_id = of_patient AND c.study_id = h.study_id)
       ELSE EXISTS (SELECT FROM patient_organization_ever o WHERE o.patient_id = of_patient AND o.organization_id = h.organization_id)
         OR EXISTS (SELECT FROM consent_current c JOIN study s ON s.id = c.study_id
                     WHERE c.patient_id = of_patient AND s.organization_id = h.organization_id) END)
$$;
REVOKE ALL ON FUNCTION is_held FROM PUBLIC;
GRANT EXECUTE ON FUNCTION is_held TO jhe_app, jhe_people;

-- Policies of retention keep what is held by the same rule. Theirs did not know who was with an organization and in none of its studies. In PL/pgSQL,
-- which keeps the plans of what it calls: a function in SQL plans those anew at each call, which takes ten milliseconds.
ALTER FUNCTION retention_cut(int, int, timestamptz) RENAME TO retention_cut_by_policy;
CREATE FUNCTION retention_cut(of_patient int, of_scope int, at timestamptz) RETURNS timestamptz LANGUAGE plpgsql STABLE SECURITY DEFINER
  SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  RETURN CASE WHEN is_held(of_patient) THEN '-infinity' ELSE retention_cut_by_policy(of_patient, of_scope, at) END;
END
$$;
REVOKE ALL ON FUNCTION retention_cut FROM PUBLIC;

-- As in V33, but what is kept is computed once for a lane (OFFSET 0), not for each of its observations.
CREATE OR REPLACE FUNCTION retention_due_lanes(of_patients int[])
RETURNS TABLE (patient_id int, scope_id int, cut timestamptz, observations bigint, study_ids int[], organization_ids int[])
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT n.patient_id, n.scope_id, n.cut, d.observations, coalesce(g.study_ids, '{}'), coalesce(g.organization_ids, '{}')
    FROM (SELECT l.patient_id, l.scope_id, retention_cut(l.patient_id, l.scope_id, statement_timestamp()) AS cut
            FROM (SELECT p.id AS patient_id, c.id AS scope_id FROM unnest(of_patients) p (id) CROSS JOIN scope c
                   WHERE EXISTS (SELECT FROM observation o WHERE o.patient_id = p.id AND o.scope_id = c.id)) l OFFSET 0) n
   CROSS JOIN LATERAL (SELECT count(*) AS observations FROM observation o
                        WHERE o.patient_id = n.patient_id AND o.scope_id = n.scope_id AND n.cut > '-infinity'
                          AND o.last_updated < n.cut AND o.effective_end < n.cut) d
   CROSS JOIN LATERAL (SELECT array_agg(DISTINCT e.study_id) AS study_ids, array_agg(DISTINCT s.organization_id) AS organization_ids
                         FROM consent_event e JOIN study s ON s.id = e.study_id
                        WHERE e.patient_id = n.patient_id AND e.scope_id = n.scope_id AND e.decision = 'granted') g
   WHERE d.observations > 0
$$;

-- Whether a number is of a patient who is being erased: from then on nothing stops it.
CREATE FUNCTION is_being_erased(number int) RETURNS boolean LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT EXISTS (SELECT FROM erasure e JOIN patient p ON p.id = e.patient_id AND p.payload_key = e.payload_key
                  WHERE e.patient_id = number AND e.begun_at IS NOT NULL AND e.erased_at IS NULL)
$$;
REVOKE ALL ON FUNCTION is_being_erased FROM PUBLIC;

-- As in V38; and those of a patient who is being erased go.
CREATE OR REPLACE FUNCTION refuse_change_but_encryption() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'UPDATE' AND OLD.payload IS NULL AND NEW.content IS NULL
     AND to_jsonb(OLD) - 'content' - 'payload' = to_jsonb(NEW) - 'content' - 'payload' THEN
    RETURN NEW;
  ELSIF TG_OP = 'DELETE' AND is_being_erased(OLD.patient_id) THEN
    RETURN OLD;
  END IF;
  RAISE EXCEPTION 'rows of % are never changed or deleted', TG_TABLE_NAME USING ERRCODE = 'insufficient_privilege';
END
$$;

-- A decision keeps who, what and when. The reference to an authorization, which is somebody's own words, goes.
CREATE FUNCTION refuse_change_but_erasure() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'UPDATE' AND OLD.authorization_reference IS NOT NULL AND NEW.authorization_reference = 'erased'
     AND to_jsonb(OLD) - 'authorization_reference' = to_jsonb(NEW) - 'authorization_reference' AND is_being_erased(OLD.patient_id) THEN
    RETURN NEW;
  END IF;
  RAISE EXCEPTION 'rows of % are never changed or deleted', TG_TABLE_NAME USING ERRCODE = 'insufficient_privilege';
END
$$;
REVOKE ALL ON FUNCTION refuse_change_but_erasure() FROM PUBLIC;
DROP TRIGGER consent_event_immutable ON consent_event;
CREATE TRIGGER consent_event_immutable BEFORE UPDATE OR DELETE ON consent_event FOR EACH ROW EXECUTE FUNCTION refuse_change_but_erasure();

-- What a change was before and after it has names. The event stays, with its digest.
CREATE FUNCTION refuse_change_but_of_erased() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'DELETE' AND EXISTS (
       SELECT FROM audit_event a, unnest(a.patient_ids) AS p (id)
        WHERE (a.occurred_at, a.id) = (OLD.occurred_at, OLD.event_id) AND is_being_erased(p.id)) THEN
    RETURN OLD;
  END IF;
  RAISE EXCEPTION 'rows of % are never changed or deleted', TG_TABLE_NAME USING ERRCODE = 'insufficient_privilege';
END
$$;
REVOKE ALL ON FUNCTION refuse_change_but_of_erased() FROM PUBLIC;
DROP TRIGGER audit_change_immutable ON audit_change;
CREATE TRIGGER audit_change_immutable BEFORE UPDATE OR DELETE ON audit_change FOR EACH ROW EXECUTE FUNCTION refuse_change_but_of_erased();

-- From now on nobody finds the patient: not in any organization, and the account is closed. `why` is the own request of the patient's
-- account, or one that the acting account documents: a super admin, or a manager of every organization that the patient is of.
CREATE FUNCTION request_erasure(context jsonb, patient int, reference text) RETURNS text LANGUAGE plpgsql SECURITY DEFINER
  SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  acting constant int := (context->>'actor_user_id')::int;
  person patient;
  organizations int[];
  made uuid;
BEGIN
  SELECT p.* INTO person FROM patient p WHERE p.id = request_erasure.patient FOR UPDATE;
  IF NOT FOUND THEN
    RETURN 'missing';
  END IF;
  organizations := ARRAY(SELECT o.organization_id FROM patient_organization o WHERE o.patient_id = person.id ORDER BY 1);
  IF person.user_id = acting THEN
    reference := NULL;
  ELSIF NOT EXISTS (SELECT FROM app_user u WHERE u.id = acting AND u.is_superuser AND u.is_active)
        AND (organizations = '{}'
             OR EXISTS (SELECT FROM unnest(organizations) AS o (id)
                         WHERE NOT EXISTS (SELECT FROM organization_member m JOIN practitioner c ON c.id = m.practitioner_id
                                            WHERE m.organization_id = o.id AND m.role = 'manager' AND c.user_id = acting))) THEN
    RETURN 'elsewhere';
  END IF;
  INSERT INTO erasure (patient_id, user_id, payload_key, why, requested_by, authorization_reference)
  VALUES (person.id, person.user_id, person.payload_key, CASE WHEN reference IS NULL THEN 'own_request' ELSE 'request_on_behalf' END, acting, reference)
  ON CONFLICT (payload_key) DO NOTHING
  RETURNING id INTO made;
  IF made IS NULL THEN
    SELECT e.id INTO made FROM erasure e WHERE e.payload_key = person.payload_key;
    RETURN made;
  END IF;
  PERFORM audit_record(context || jsonb_build_object('detail', jsonb_build_object('erasure', made)), 'allowed', NULL,
                       organizations, '{}', ARRAY[person.id], '{}');
  PERFORM close_erased(person);
  RETURN made;
END
$$;
REVOKE ALL ON FUNCTION request_erasure FROM PUBLIC;
GRANT EXECUTE ON FUNCTION request_erasure TO jhe_app, jhe_people;

-- Nobody finds the patient and nothing opens the account.
CREATE FUNCTION close_erased(person patient) RETURNS void LANGUAGE sql SET search_path = pg_catalog, public, pg_temp AS $$
  DELETE FROM patient_organization o WHERE o.patient_id = person.id;
  DELETE FROM login_session s WHERE s.user_id = person.user_id;
  DELETE FROM login_challenge c WHERE c.user_id = person.user_id;
  UPDATE oauth_grant g SET revoked_at = clock_timestamp() WHERE g.user_id = person.user_id AND g.revoked_at IS NULL;
  UPDATE account_link l SET used_at = clock_timestamp() WHERE l.user_id = person.user_id AND l.used_at IS NULL;
  UPDATE invitation i SET status = 'cancelled', last_updated = clock_timestamp() WHERE i.patient_id = person.id AND i.status = 'issued';
  UPDATE app_user u SET is_active = false, active_after_release = CASE WHEN u.contained_by <> '{}' THEN false END,
                        last_updated = clock_timestamp() WHERE u.id = person.user_id;
$$;
REVOKE ALL ON FUNCTION close_erased FROM PUBLIC;

-- As in V27; and nobody makes the account active again of a patient who is to be erased.
CREATE OR REPLACE FUNCTION change_standing(context jsonb, account int, super_admin boolean, active boolean, expected timestamptz[])
RETURNS text LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  acting int := (context->>'actor_user_id')::int;
  was app_user;
  is_now app_user;
BEGIN
  PERFORM pg_advisory_xact_lock(hashtextextended('standing of accounts', 0));
  IF acting = account OR NOT EXISTS (SELECT FROM app_user u WHERE u.id = acting AND u.is_superuser AND u.is_active) THEN
    RETURN 'refused';
  END IF;
  SELECT * INTO was FROM app_user u WHERE u.id = account FOR UPDATE;
  IF NOT FOUND THEN
    RETURN 'missing';
  ELSIF was.last_updated <> ALL (expected) THEN
    RETURN 'stale';
  ELSIF super_admin AND was.user_type = 'patient' THEN
    RETURN 'patient';
  ELSIF active AND was.contained_by <> '{}' THEN
    RETURN 'contained';
  ELSIF active AND EXISTS (SELECT FROM erasure e WHERE e.user_id = account AND e.erased_at IS NULL) THEN
    RETURN 'erasure';
  END IF;
  UPDATE app_user u
     SET is_superuser = coalesce(super_admin, u.is_superuser), is_active = coalesce(active, u.is_active),
         active_after_release = CASE WHEN u.contained_by <> '{}' THEN coalesce(active, u.active_after_release) END,
         last_updated = clock_timestamp()
   WHERE u.id = account
  RETURNING u.* INTO is_now;
  DELETE FROM login_session s WHERE s.user_id = account;
  DELETE FROM login_challenge c WHERE c.user_id = account;
  UPDATE oauth_grant g SET revoked_at = clock_timestamp() WHERE g.user_id = account AND g.revoked_at IS NULL;
  IF NOT is_now.is_active THEN
    UPDATE account_link l SET used_at = clock_timestamp() WHERE l.user_id = account AND l.used_at IS NULL;
  END IF;
  PERFORM audit_record(context, 'allowed', NULL, '{}', '{}', ARRAY(SELECT p.id FROM patient p WHERE p.user_id = account), '{}',
                       NULL, to_jsonb(was) - 'password_hash', to_jsonb(is_now) - 'password_hash');
  RETURN 'done';
END
$$;

-- Who is of no organization for so many days, one erasure for each, and how many they are now. Whoever is held stays as they are.
CREATE FUNCTION request_erasures_of_left(context jsonb, days int) RETURNS int LANGUAGE plpgsql SECURITY DEFINER
  SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  person patient;
  made uuid;
  count int := 0;
BEGIN
  FOR person IN
    SELECT p.* FROM patient p
     WHERE p.left_at <= clock_timestamp() - make_interval(days => greatest(days, 1))
       AND NOT EXISTS (SELECT FROM erasure e WHERE e.payload_key = p.payload_key) AND NOT is_held(p.id)
       AND NOT EXISTS (SELECT FROM patient_organization o WHERE o.patient_id = p.id)
     ORDER BY p.id LIMIT 100 FOR UPDATE SKIP LOCKED
  LOOP
    INSERT INTO erasure (patient_id, user_id, payload_key, why) VALUES (person.id, person.user_id, person.payload_key, 'left')
    ON CONFLICT (payload_key) DO NOTHING
    RETURNING id INTO made;
    CONTINUE WHEN made IS NULL;
    PERFORM audit_record(context || jsonb_build_object('detail', jsonb_build_object('erasure', made)), 'allowed', NULL,
                         '{}', '{}', ARRAY[person.id], '{}');
    PERFORM close_erased(person);
    count := count + 1;
  END LOOP;
  RETURN count;
END
$$;

-- A patient whose key has a tombstone is one who was erased: this database comes from a backup of before. False: it is nobody here, or
-- is being erased already. No hold stops it: what was held then was released before the key went, or is of no use without it.
CREATE FUNCTION erase_again(context jsonb, patient int, key uuid, why text, requested_by int, requested_at timestamptz) RETURNS boolean
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  person patient;
  made uuid;
BEGIN
  SELECT p.* INTO person FROM patient p WHERE p.id = erase_again.patient AND p.payload_key = key FOR UPDATE;
  IF NOT FOUND THEN
    RETURN false;
  END IF;
  INSERT INTO erasure (patient_id, user_id, payload_key, why, requested_by, authorization_reference, requested_at, begun_at)
  VALUES (person.id, person.user_id, key, erase_again.why, erase_again.requested_by,
          CASE WHEN erase_again.why = 'request_on_behalf' THEN 'before the backup was restored' END, erase_again.requested_at, clock_timestamp())
  -- That backup is of between the request and its end.
  ON CONFLICT (payload_key) DO UPDATE SET begun_at = clock_timestamp() WHERE erasure.begun_at IS NULL
  RETURNING id INTO made;
  IF made IS NULL THEN
    RETURN false;
  END IF;
  PERFORM audit_record(context || jsonb_build_object('detail', jsonb_build_object('erasure', made, 'again', true)), 'allowed', NULL,
                       ARRAY(SELECT o.organization_id FROM patient_organization o WHERE o.patient_id = person.id ORDER BY 1),
                       '{}', ARRAY[person.id], '{}');
  PERFORM close_erased(person);
  RETURN true;
END
$$;

-- Says whether an erasure may be carried out: from then on it is, whoever places a hold. False: a hold keeps what there is. Who places one
-- writes under the lock that this reads under, so it is there before this or comes after it.
CREATE FUNCTION begin_erasure(of_erasure uuid) RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  PERFORM FROM retention_floor FOR SHARE;
  UPDATE erasure e SET begun_at = clock_timestamp() WHERE e.id = of_erasure AND e.begun_at IS NULL AND NOT is_held(e.patient_id);
  RETURN EXISTS (SELECT FROM erasure e WHERE e.id = of_erasure AND e.begun_at IS NOT NULL);
END
$$;

-- Deletes so many rows of a patient who is being erased, and says how many it were: called until there are none, so that no statement takes
-- long, however much there is.
CREATE FUNCTION erase_rows(of_erasure uuid, most int) RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER
  SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  person int;
  gone bigint;
  more bigint;
BEGIN
  SELECT p.id INTO person FROM erasure e JOIN patient p ON p.id = e.patient_id AND p.payload_key = e.payload_key
   WHERE e.id = of_erasure AND e.begun_at IS NOT NULL AND e.erased_at IS NULL FOR UPDATE;
  WITH rows AS (
    DELETE FROM observation o WHERE o.id IN (SELECT i.id FROM observation i WHERE i.patient_id = person LIMIT most)
    RETURNING o.id, o.scope_id, o.last_updated
  ), feed AS (
    DELETE FROM study_observation f USING rows r, consent_current c
     WHERE c.patient_id = person AND c.scope_id = r.scope_id
       AND f.study_id = c.study_id AND f.scope_id = r.scope_id AND f.last_updated = r.last_updated AND f.observation_id = r.id
  ), sources AS (
    DELETE FROM source_observation s USING rows r WHERE s.observation_id = r.id
  )
  SELECT count(*) INTO gone FROM rows;
  WITH rows AS (
    DELETE FROM observation_identifier i
     WHERE (i.patient_id, i.value, i.system) IN (SELECT d.patient_id, d.value, d.system FROM observation_identifier d
                                                  WHERE d.patient_id = person LIMIT most)
    RETURNING 1
  )
  SELECT count(*) INTO more FROM rows;
  gone := gone + more;
  WITH rows AS (
    DELETE FROM auxiliary x WHERE x.number IN (SELECT i.number FROM auxiliary i WHERE i.patient_id = person LIMIT most) RETURNING 1
  )
  SELECT count(*) INTO more FROM rows;
  RETURN gone + more;
END
$$;

-- Ends an erasure whose rows are gone: the record, the account, and what the audit has besides numbers. The number of the event that says so.
CREATE FUNCTION erase_patient(context jsonb, of_erasure uuid) RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER
  SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  asked erasure;
  person patient;
  event bigint;
BEGIN
  SELECT e.* INTO asked FROM erasure e WHERE e.id = of_erasure FOR UPDATE;
  IF asked.erased_at IS NOT NULL THEN
    RETURN asked.event_id;
  ELSIF asked.begun_at IS NULL THEN
    RAISE EXCEPTION 'an erasure is begun before it is ended' USING ERRCODE = 'object_not_in_prerequisite_state';
  END IF;
  SELECT p.* INTO person FROM patient p WHERE p.id = asked.patient_id AND p.payload_key = asked.payload_key FOR UPDATE;
  IF person.id IS NOT NULL THEN
    DELETE FROM auxiliary_version v WHERE v.patient_id = person.id;
    DELETE FROM fhir_source s WHERE s.patient_id = person.id;
    DELETE FROM consent_current c WHERE c.patient_id = person.id;
    UPDATE consent_event c SET authorization_reference = 'erased' WHERE c.patient_id = person.id AND c.authorization_reference IS NOT NULL;
    UPDATE legal_hold h SET reason = 'erased' WHERE h.patient_id = person.id AND h.reason <> 'erased'; -- what a manager wrote about them
    DELETE FROM idempotency_key k USING audit_event a WHERE a.id = ANY (k.audit_ids) AND a.patient_ids @> ARRAY[person.id];
    DELETE FROM audit_change c USING audit_event a
     WHERE (a.occurred_at, a.id) = (c.occurred_at, c.event_id) AND a.patient_ids @> ARRAY[person.id];
    -- With what is under them: identifiers, organizations, enrolments, invitations, requests; sessions, grants, tokens, factors, links.
    DELETE FROM patient p WHERE p.id = person.id;
    DELETE FROM app_user u WHERE u.id = asked.user_id;
  END IF;
  event := audit_record(context || jsonb_build_object('detail', jsonb_build_object('erasure', asked.id, 'why', asked.why)),
                        'allowed', NULL, '{}', '{}', ARRAY[asked.patient_id], '{}');
  UPDATE erasure e SET erased_at = clock_timestamp(), event_id = event, authorization_reference = asked.authorization_reference
   WHERE e.id = asked.id;
  RETURN event;
END
$$;

-- For the function that erases, which is in no group.
REVOKE ALL ON FUNCTION request_erasures_of_left, erase_again, begin_erasure, erase_rows, erase_patient FROM PUBLIC;
GRANT EXECUTE ON FUNCTION request_erasures_of_left, erase_again, begin_erasure, erase_rows, erase_patient TO jhe_app;
