-- Who left before V34: by the record of the change, or else by the ledger of consents, which has nobody who was not the organization's
-- patient. It is a migration of its own: whoever leaves meanwhile does not wait for it, and is in the table already.
INSERT INTO patient_organization_past (patient_id, organization_id, until)
SELECT p.id, (c.before->>'organization')::int, max(e.occurred_at)
  FROM audit_change c
  JOIN audit_event e ON e.id = c.event_id AND e.occurred_at = c.occurred_at
 CROSS JOIN LATERAL unnest(e.patient_ids) AS p (id)
 WHERE c.before ?& ARRAY['organization', 'studies', 'invitations'] AND c.after IS NULL
   AND e.outcome = 'allowed' AND e.action = 'delete' AND e.resource_type = 'PatientOrganization'
 GROUP BY 1, 2
ON CONFLICT DO NOTHING;

INSERT INTO patient_organization_past (patient_id, organization_id, until)
SELECT DISTINCT c.patient_id, s.organization_id, clock_timestamp()
  FROM consent_event c JOIN study s ON s.id = c.study_id
 WHERE NOT EXISTS (SELECT FROM patient_organization o WHERE o.patient_id = c.patient_id AND o.organization_id = s.organization_id)
ON CONFLICT DO NOTHING;
