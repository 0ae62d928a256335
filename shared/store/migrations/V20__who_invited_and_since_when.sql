-- Invitations are of the organizations that issued them, an enrolment has a beginning, and a registered client has a version.

-- Through which organizations an invitation was issued: those of the patient in which whoever issued it was a member at least; a
-- super admin's, all of the patient's. Only who works in one of them manages it.
CREATE TABLE invitation_organization (
  invitation_id   int NOT NULL REFERENCES invitation ON DELETE CASCADE,
  organization_id int NOT NULL REFERENCES organization ON DELETE CASCADE,
  PRIMARY KEY (invitation_id, organization_id)
);
CREATE INDEX invitation_organization_organization ON invitation_organization (organization_id, invitation_id);
-- What is there was not kept with its organizations: as things are now.
INSERT INTO invitation_organization (invitation_id, organization_id)
SELECT i.id, o.organization_id
  FROM invitation i
  JOIN app_user u ON u.id = i.issued_by
  JOIN patient_organization o ON o.patient_id = i.patient_id
 WHERE u.is_superuser
    OR EXISTS (SELECT FROM organization_member m JOIN practitioner p ON p.id = m.practitioner_id
                WHERE p.user_id = u.id AND m.organization_id = o.organization_id AND m.role >= 'member');
GRANT SELECT, INSERT ON invitation_organization TO jhe_app;

-- Since when a patient is enrolled. A decision made before counts no more: who left a study and is enrolled again decides again,
-- and nothing becomes visible by what somebody else does.
ALTER TABLE study_patient ADD COLUMN enrolled_at timestamptz NOT NULL DEFAULT '-infinity';
ALTER TABLE study_patient ALTER COLUMN enrolled_at SET DEFAULT clock_timestamp();

-- The access rule, once. As in V14; a decision counts since the study asks and since the patient is enrolled.
CREATE OR REPLACE VIEW practitioner_permit AS
SELECT m.practitioner_id, m.role, s.organization_id, c.study_id, c.patient_id, c.scope_id, c.may_read, c.may_search
  FROM consent_current c
  JOIN study s ON s.id = c.study_id AND s.access_until > now()
  JOIN study_patient e ON e.study_id = c.study_id AND e.patient_id = c.patient_id AND e.enrolled_at <= c.decided_at
  JOIN study_scope_request r ON r.study_id = c.study_id AND r.scope_id = c.scope_id AND r.requested_at <= c.decided_at
  JOIN organization_member m ON m.organization_id = s.organization_id
 WHERE c.may_read OR c.may_search;

-- When a client's registration last changed: its version.
ALTER TABLE oauth_client ADD COLUMN last_updated timestamptz NOT NULL DEFAULT '2026-01-01 00:00:00+00';
ALTER TABLE oauth_client ALTER COLUMN last_updated SET DEFAULT clock_timestamp();
GRANT UPDATE (last_updated) ON oauth_client TO jhe_app;
