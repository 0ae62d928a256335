-- What the security monitor keeps: what each account did each day, and what it found unusual.

-- How far it has come. One row.
CREATE TABLE security_monitor (
  one         boolean PRIMARY KEY DEFAULT true CHECK (one),
  judged_from date NOT NULL, -- days before are only learned from
  next_day    date NOT NULL  -- every day before is counted and judged, and not looked at again
);

-- A practitioner's or a super admin's day, in the time zone of the deployment. What is usual is read from here: nobody has to
-- read months of the audit for it. Numbers of things, and no thing.
CREATE TABLE activity_day (
  user_id         int NOT NULL,
  day             date NOT NULL,
  actor_type      text NOT NULL CHECK (actor_type IN ('practitioner', 'super_admin')),
  actor_role      member_role, -- the highest that was used
  events          bigint NOT NULL,
  observations    bigint NOT NULL, -- read, each time it was
  patients        bigint NOT NULL, -- whose health data was read
  refusals        bigint NOT NULL,
  consent_changes bigint NOT NULL, -- in the hour with the most
  out_of_hours    bigint NOT NULL, -- by a super admin, outside office hours
  PRIMARY KEY (user_id, day)
);
CREATE INDEX activity_day_day ON activity_day (day);

-- What is unusual, once for each kind, account or address, and day.
CREATE TABLE security_finding (
  id             int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  kind           text NOT NULL CHECK (kind IN ('volume', 'breadth', 'refusals', 'consent_changes', 'privileged_out_of_hours',
                                               'dormant_account', 'failed_sign_ins_of_account', 'failed_sign_ins_from_address')),
  user_id        int, -- whose account
  source_address text,
  day            date NOT NULL,
  window_start   timestamptz NOT NULL,
  window_end     timestamptz NOT NULL,
  measured       bigint NOT NULL,
  expected       bigint NOT NULL, -- the most that would have been usual
  score          bigint NOT NULL, -- how far beyond, in spreads
  event_ids      bigint[] NOT NULL, -- of the audit: what it was found by, the newest thousand
  found_at       timestamptz NOT NULL DEFAULT clock_timestamp(),
  notified_at    timestamptz, -- NULL: nobody was told yet
  status         text NOT NULL DEFAULT 'open' CHECK (status IN ('open', 'acknowledged', 'closed')),
  note           text,
  changed_by     int REFERENCES app_user,
  last_updated   timestamptz NOT NULL DEFAULT clock_timestamp(),
  CHECK ((user_id IS NULL) <> (source_address IS NULL)),
  UNIQUE NULLS NOT DISTINCT (kind, user_id, source_address, day)
);
CREATE INDEX security_finding_untold ON security_finding (id) WHERE notified_at IS NULL;

GRANT SELECT, INSERT, UPDATE (next_day) ON security_monitor TO jhe_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON activity_day TO jhe_app;
GRANT SELECT, INSERT, UPDATE (measured, expected, score, event_ids, notified_at, status, note, changed_by, last_updated)
   ON security_finding TO jhe_app;
