-- Containment: in an incident an operator ends what is open of an account or a client and blocks it, until it is let go again.
-- Only the database's owner writes these columns: who got hold of a function, or of a super admin, lifts no block.

-- By what an account is contained: 'user', or 'organization' and its id. It is inactive meanwhile, for every statement that asks.
ALTER TABLE app_user ADD COLUMN contained_by text[] NOT NULL DEFAULT '{}';
-- Whether it is active again afterwards. NULL: it is not contained.
ALTER TABLE app_user ADD COLUMN active_after_release boolean;
ALTER TABLE app_user ADD CONSTRAINT app_user_contained CHECK (
  CASE WHEN contained_by = '{}' THEN active_after_release IS NULL ELSE active_after_release IS NOT NULL AND NOT is_active END) NOT VALID;

ALTER TABLE oauth_client ADD COLUMN contained_at timestamptz;

-- As in V13; and an account that is contained is not made active by a super admin, while one that is closed stays so afterwards.
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
