-- No event is of no time: it could not be sealed, and nobody could read a list that it is in. Not even who is past every trigger adds one,
-- as long as the constraint is there. What is there is not looked through: `audit-verify` does that.
ALTER TABLE audit_event ADD CONSTRAINT audit_event_time CHECK (occurred_at < 'infinity') NOT VALID;
ALTER TABLE audit_change ADD CONSTRAINT audit_change_time CHECK (occurred_at < 'infinity') NOT VALID;
