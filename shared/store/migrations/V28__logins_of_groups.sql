-- Roles for groups of functions, so that a function that was taken over has the rights of its group and no others. jhe_app stays what
-- all functions together need: for a host that has one login, and for functions that no clock or request of a user calls.
--
-- A group may do what jhe_app may, but for tables that are nothing to it. Whoever grants something to jhe_app from here on grants
-- it to the groups that need it, too.

DO $$
DECLARE
  role text;
BEGIN
  FOREACH role IN ARRAY ARRAY['jhe_fhir_read', 'jhe_fhir_write', 'jhe_identity', 'jhe_people'] LOOP
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = role) THEN
      EXECUTE format('CREATE ROLE %I NOLOGIN NOINHERIT', role);
    END IF;
  END LOOP;
END
$$;

GRANT USAGE ON SCHEMA public TO jhe_fhir_read, jhe_fhir_write, jhe_identity, jhe_people;

DO $$
DECLARE
  -- Health data.
  data text[] := ARRAY['observation', 'observation_identifier', 'study_observation', 'source_observation', 'auxiliary'];
  -- What somebody proves who he is with, and what stands for a sign-in.
  proofs text[] := ARRAY['account_link', 'email_code', 'login_challenge', 'login_failure', 'login_session', 'linked_session', 'oauth_code',
                         'passkey', 'passkey_challenge', 'passkey_owner', 'pushed_from', 'pushed_request', 'recovery_code', 'refresh_token',
                         'totp_factor', 'used_message'];
  -- What every request with a token may write: that it came, that its proof was used, and what it was answered.
  of_requests text[] := ARRAY['rate_limit', 'dpop_proof', 'idempotency_key'];
  -- Functions with the owner's rights that change accounts.
  of_accounts text[] := ARRAY['change_standing', 'correct_patient_account', 'create_practitioner'];
  granted record;
BEGIN
  FOR granted IN
    WITH rights AS (
      -- Of tables, views and sequences.
      SELECT c.relname::text AS name, format('%s ON %I', a.privilege_type, c.relname) AS what, a.privilege_type AS privilege
        FROM pg_class c CROSS JOIN aclexplode(c.relacl) a
       WHERE c.relnamespace = 'public'::regnamespace AND a.grantee = 'jhe_app'::regrole AND c.relkind IN ('r', 'p', 'v')
      UNION ALL
      SELECT 'sequence', format('%s ON SEQUENCE %I', a.privilege_type, c.relname), a.privilege_type
        FROM pg_class c CROSS JOIN aclexplode(c.relacl) a
       WHERE c.relnamespace = 'public'::regnamespace AND a.grantee = 'jhe_app'::regrole AND c.relkind = 'S'
      UNION ALL
      -- Of columns.
      SELECT c.relname, format('%s (%I) ON %I', a.privilege_type, t.attname, c.relname), a.privilege_type
        FROM pg_class c JOIN pg_attribute t ON t.attrelid = c.oid CROSS JOIN aclexplode(t.attacl) a
       WHERE c.relnamespace = 'public'::regnamespace AND a.grantee = 'jhe_app'::regrole
      UNION ALL
      SELECT p.proname, format('EXECUTE ON FUNCTION %s', p.oid::regprocedure), a.privilege_type
        FROM pg_proc p CROSS JOIN aclexplode(p.proacl) a
       WHERE p.pronamespace = 'public'::regnamespace AND a.grantee = 'jhe_app'::regrole
    )
    SELECT 'jhe_fhir_read' AS role, what FROM rights
     WHERE CASE privilege WHEN 'SELECT' THEN name <> ALL (proofs || ARRAY['app_user']) WHEN 'EXECUTE' THEN name <> ALL (of_accounts)
                          ELSE name = ANY (of_requests) END
    UNION ALL
    SELECT 'jhe_fhir_write', what FROM rights
     WHERE name <> ALL (proofs || of_accounts) AND NOT (name = 'app_user' AND privilege = 'SELECT')
    UNION ALL
    SELECT 'jhe_identity', what FROM rights WHERE name <> ALL (data)
    UNION ALL
    SELECT 'jhe_people', what FROM rights WHERE name <> ALL (data) OR privilege = 'SELECT'
  LOOP
    EXECUTE format('GRANT %s TO %I', granted.what, granted.role);
  END LOOP;
END
$$;

-- Who reads and writes resources sees whose an account is, and nothing that it is opened with.
DO $$
DECLARE
  shown text;
BEGIN
  SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) INTO shown
    FROM pg_attribute WHERE attrelid = 'app_user'::regclass AND attnum > 0 AND NOT attisdropped AND attname <> 'password_hash';
  EXECUTE format('GRANT SELECT (%s) ON app_user TO jhe_fhir_read, jhe_fhir_write', shown);
END
$$;
