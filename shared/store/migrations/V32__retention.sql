-- What lapses is deleted: ended sessions, tokens, codes, invitations and the like, and no more of them than that.

-- What came of each call of the job: for `jhe verify`, and for whoever asks when it last ran.
CREATE TABLE retention_run (
  id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  began_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
  touched_at timestamptz NOT NULL DEFAULT clock_timestamp(), -- of its last batch
  ended_at   timestamptz, -- NULL: it is at work, or was interrupted
  succeeded  boolean,
  forgotten  jsonb NOT NULL DEFAULT '{}', -- how many rows of each kind are gone
  CHECK ((ended_at IS NULL) = (succeeded IS NULL))
);
CREATE INDEX retention_run_end ON retention_run (ended_at DESC) WHERE ended_at IS NOT NULL;
GRANT SELECT ON retention_run TO jhe_app;

-- Every kind of row that lapses: its table, and the rows `t` of it that came to their end before $1. What is not here is kept.
CREATE FUNCTION retention_kind(wanted text, OUT of_table text, OUT lapsed text) LANGUAGE sql IMMUTABLE
  SET search_path = pg_catalog, pg_temp AS $$
  SELECT of_table, lapsed FROM (VALUES
    ('session', 'login_session', 't.expires_at < $1'),
    ('challenge', 'login_challenge', 't.expires_at < $1'),
    ('email_code', 'email_code', 't.expires_at < $1'),
    ('passkey_challenge', 'passkey_challenge', 't.expires_at < $1'),
    -- That a practitioner was sent a link to the first password is what a link to another is given for.
    ('link', 'account_link', $q$least(t.used_at, t.expires_at) < $1
       AND NOT (t.purpose = 'sign_up' AND EXISTS (SELECT FROM app_user u WHERE u.id = t.user_id AND u.password_hash IS NULL))$q$),
    ('failed_attempts', 'login_failure', 't.last_failure < $1 AND NOT t.succeeded'),
    ('known_place', 'login_failure', 't.last_failure < $1 AND t.succeeded'),
    ('used_message', 'used_message', 't.lapses_at < $1'),
    ('used_assertion', 'client_assertion', 't.expires_at < $1'),
    ('used_proof', 'dpop_proof', 't.expires_at < $1'),
    ('pushed_request', 'pushed_request', 't.expires_at < $1'),
    ('rate', 'rate_limit', 't.spent_until < $1'),
    ('repeatable_request', 'idempotency_key', 't.claimed_at < $1'),
    ('access_token', 'access_token', 't.expires_at < $1'),
    -- With its codes and refresh tokens. Those that were used stay as long as anything of the grant works: it is by them that a
    -- replay is known. The newest of an account stays too: it says that somebody has used the account.
    ('grant', 'oauth_grant', $q$t.granted_at < $1 AND (t.revoked_at IS NULL OR t.revoked_at < $1)
       AND NOT EXISTS (SELECT FROM access_token a WHERE a.grant_id = t.id AND a.expires_at >= $1)
       AND NOT EXISTS (SELECT FROM refresh_token r WHERE r.grant_id = t.id AND r.expires_at >= $1)
       AND NOT EXISTS (SELECT FROM oauth_code c WHERE c.grant_id = t.id AND c.expires_at >= $1)
       AND EXISTS (SELECT FROM oauth_grant n WHERE n.user_id = t.user_id AND n.id > t.id)$q$),
    -- One whose token is also a code stays as long as the code: by it the code is known to be cancelled.
    ('invitation', 'invitation', $q$greatest(t.expires_at, t.redeemed_at, t.last_updated) < $1
       AND NOT EXISTS (SELECT FROM oauth_code c WHERE c.code_hash = t.token_hash)$q$),
    ('import', 'patient_import', 't.last_updated < $1'),
    -- The last of each is what `jhe verify` looks at.
    ('backup_run', 'backup_run', 't.ended_at < $1 AND EXISTS (SELECT FROM backup_run n WHERE n.kind = t.kind AND n.id > t.id)'),
    ('retention_run', 'retention_run', 't.ended_at < $1')
  ) k (kind, of_table, lapsed) WHERE kind = wanted
$$;

-- How many rows of a kind came to their end longer ago than this.
CREATE FUNCTION retention_due(kind text, kept_seconds bigint) RETURNS bigint LANGUAGE plpgsql STABLE SECURITY DEFINER
  SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  of record := retention_kind(kind);
  due bigint;
BEGIN
  EXECUTE format('SELECT count(*) FROM public.%I t WHERE %s', of.of_table, of.lapsed)
    INTO STRICT due USING clock_timestamp() - make_interval(secs => greatest(kept_seconds, 0));
  RETURN due;
END
$$;

-- Begins a run. One that was interrupted, or nobody would go on with, is closed and recorded.
CREATE FUNCTION retention_begin(context jsonb) RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER
  SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  begun bigint;
  left_over record;
BEGIN
  FOR left_over IN
    UPDATE retention_run SET ended_at = clock_timestamp(), succeeded = false
     WHERE ended_at IS NULL AND touched_at < clock_timestamp() - interval '20 minutes' RETURNING *
  LOOP
    PERFORM audit_record(context || jsonb_build_object('detail', jsonb_build_object('run', left_over.id, 'forgotten', left_over.forgotten)),
                         'failed', 'invalid', '{}', '{}', '{}', '{}');
  END LOOP;
  INSERT INTO retention_run DEFAULT VALUES RETURNING id INTO begun;
  RETURN begun;
END
$$;

-- Deletes rows of a kind that came to their end longer ago than this, and says how many: no more than `most`. It waits for nobody:
-- a row that somebody holds is left for the next time.
CREATE FUNCTION retention_forget(run bigint, kind text, kept_seconds bigint, most int) RETURNS int LANGUAGE plpgsql SECURITY DEFINER
  SET search_path = pg_catalog, public, pg_temp SET lock_timeout = '50ms' AS $$
DECLARE
  of record := retention_kind(kind);
  gone int;
BEGIN
  EXECUTE format('DELETE FROM public.%1$I WHERE ctid = ANY (ARRAY(SELECT t.ctid FROM public.%1$I t WHERE %2$s LIMIT $2 FOR UPDATE SKIP LOCKED))',
                 of.of_table, of.lapsed)
    USING clock_timestamp() - make_interval(secs => greatest(kept_seconds, 0)), least(greatest(most, 0), 1000);
  GET DIAGNOSTICS gone = ROW_COUNT;
  UPDATE retention_run r
     SET touched_at = clock_timestamp(),
         forgotten = CASE WHEN gone = 0 THEN r.forgotten
                          ELSE r.forgotten || jsonb_build_object(kind, coalesce((r.forgotten->>kind)::bigint, 0) + gone) END
   WHERE r.id = run AND r.ended_at IS NULL;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'run % is over', run USING ERRCODE = 'object_not_in_prerequisite_state';
  END IF;
  RETURN gone;
END
$$;

-- Ends a run. What it deleted is on record, or that it failed; one that found nothing to do leaves no record.
CREATE FUNCTION retention_end(context jsonb, run bigint, well boolean) RETURNS void LANGUAGE plpgsql SECURITY DEFINER
  SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  done jsonb;
BEGIN
  UPDATE retention_run SET ended_at = clock_timestamp(), succeeded = well WHERE id = run AND ended_at IS NULL RETURNING forgotten INTO done;
  IF FOUND AND (done <> '{}' OR NOT well) THEN
    PERFORM audit_record(context || jsonb_build_object('detail', jsonb_build_object('run', run, 'forgotten', done)),
                         CASE WHEN well THEN 'allowed' ELSE 'failed' END, CASE WHEN well THEN NULL ELSE 'invalid' END,
                         '{}', '{}', '{}', '{}');
  END IF;
END
$$;

REVOKE ALL ON FUNCTION retention_kind, retention_due, retention_begin, retention_forget, retention_end FROM PUBLIC;
-- Nobody can delete anything by them that has not lapsed.
GRANT EXECUTE ON FUNCTION retention_due, retention_begin, retention_forget, retention_end TO jhe_app;
