-- Whether a legal hold covers a patient: their own, or one for everybody who is or was in a study or with an organization. Also of who
-- left it: asking to be erased is leaving. In PL/pgSQL, which keeps the plans of what it calls.
CREATE FUNCTION covers(hold legal_hold, of_patient int) RETURNS boolean LANGUAGE plpgsql STABLE SECURITY DEFINER
  SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  RETURN CASE hold.kind
    WHEN 'patient' THEN hold.patient_id = of_patient
    WHEN 'study' THEN EXISTS (SELECT FROM study_patient e WHERE e.patient_id = of_patient AND e.study_id = hold.study_id)
                   OR EXISTS (SELECT FROM enrolment_end e WHERE e.patient_id = of_patient AND e.study_id = hold.study_id)
                   OR EXISTS (SELECT FROM consent_current c WHERE c.patient_id = of_patient AND c.study_id = hold.study_id)
    ELSE EXISTS (SELECT FROM patient_organization_ever o WHERE o.patient_id = of_patient AND o.organization_id = hold.organization_id)
      OR EXISTS (SELECT FROM consent_current c JOIN study s ON s.id = c.study_id
                  WHERE c.patient_id = of_patient AND s.organization_id = hold.organization_id) END;
END
$$;
REVOKE ALL ON FUNCTION covers FROM PUBLIC;

CREATE OR REPLACE FUNCTION is_held(of_patient int) RETURNS boolean LANGUAGE plpgsql STABLE SECURITY DEFINER
  SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  RETURN EXISTS (SELECT FROM legal_hold h WHERE h.released_at IS NULL AND covers(h, of_patient));
END
$$;

-- How many erasures a hold keeps waiting: those that are carried out when it is released, and no other hold is there.
CREATE FUNCTION erasures_waiting(hold legal_hold) RETURNS bigint LANGUAGE plpgsql STABLE SECURITY DEFINER
  SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  RETURN CASE WHEN hold.released_at IS NULL THEN (SELECT count(*) FROM erasure e WHERE e.begun_at IS NULL AND covers(hold, e.patient_id)) ELSE 0 END;
END
$$;
REVOKE ALL ON FUNCTION erasures_waiting FROM PUBLIC;
GRANT EXECUTE ON FUNCTION erasures_waiting TO jhe_app, jhe_people;
