-- Who makes backups reads every table and changes nothing. As for the functions, a login is only ever a member of the role.

DO $$
BEGIN
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'jhe_backup') THEN
    CREATE ROLE jhe_backup NOLOGIN NOINHERIT;
  END IF;
  -- The owner makes backups too, with no more rights than any other.
  IF NOT pg_has_role(current_user, 'jhe_backup', 'MEMBER') THEN
    GRANT jhe_backup TO current_user;
  END IF;
END
$$;

GRANT USAGE ON SCHEMA public TO jhe_backup;
GRANT SELECT ON ALL TABLES IN SCHEMA public TO jhe_backup;
GRANT SELECT ON ALL SEQUENCES IN SCHEMA public TO jhe_backup;
-- What later migrations make, too.
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO jhe_backup;
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON SEQUENCES TO jhe_backup;

-- What was done with backups, and what came of it: for `jhe verify`, and for whoever asks when the last one was.
CREATE TABLE backup_run (
  id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  kind      text NOT NULL CHECK (kind IN ('backup', 'drill')),
  backup    text NOT NULL, -- its id
  taken_at  timestamptz NOT NULL, -- of the snapshot
  began_at  timestamptz NOT NULL,
  ended_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
  succeeded boolean NOT NULL,
  report    jsonb NOT NULL
);
CREATE INDEX backup_run_kind ON backup_run (kind, id);
GRANT SELECT, INSERT ON backup_run TO jhe_app;
