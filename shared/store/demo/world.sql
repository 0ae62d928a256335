-- The demo world: the organizations, people, studies and consents that the tutorials use.
-- Rows are inserted in the order that gives the documented ids. Passwords, redirect URIs, tokens and
-- observations are added by the caller.

INSERT INTO scope (system, code, text) VALUES
  ('https://w3id.org/openmhealth', 'omh:blood-glucose:4.0', 'Blood glucose'),
  ('https://w3id.org/openmhealth', 'omh:blood-pressure:4.0', 'Blood pressure'),
  ('https://w3id.org/openmhealth', 'omh:body-temperature:4.0', 'Body temperature'),
  ('https://w3id.org/openmhealth', 'omh:heart-rate:2.0', 'Heart Rate'),
  ('https://w3id.org/openmhealth', 'omh:oxygen-saturation:2.0', 'Oxygen saturation'),
  ('https://w3id.org/openmhealth', 'omh:respiratory-rate:2.0', 'Respiratory rate'),
  ('https://w3id.org/openmhealth', 'omh:rr-interval:1.0', 'RR Interval'),
  ('https://w3id.org/openmhealth', 'omh:body-weight:3.0', 'Body weight'),
  ('https://w3id.org/openmhealth', 'omh:forced-vital-capacity:1.0', 'Forced vital capacity'),
  ('https://w3id.org/openmhealth', 'omh:forced-expiratory-volume-1-second:1.0', 'Forced expiratory volume in 1 second'),
  ('http://hl7.org/fhir/resource-types', 'QuestionnaireResponse', 'Questionnaire response'),
  ('https://w3id.org/openmhealth', 'omh:physical-activity:1.2', 'Physical activity'),
  ('https://w3id.org/openmhealth', 'omh:step-count:3.0', 'Step count'),
  ('https://w3id.org/ieee1752', 'ieee:sleep-stage-summary:1.0', 'Sleep stage summary'),
  ('https://w3id.org/openmhealth', 'omh:sleep-episode:1.1', 'Sleep episode'),
  ('https://w3id.org/openmhealth', 'omh:sleep-duration:2.0', 'Sleep duration');

INSERT INTO data_source (name, type) VALUES
  ('CareX', 'personal_device'), ('Dexcom', 'personal_device'), ('iHealth', 'personal_device'),
  ('Oura', 'personal_device'), ('Questionnaire', 'patient_app'), ('Patient Access API', 'patient_app');

INSERT INTO data_source_scope (data_source_id, scope_id) VALUES
  (70001, 50002), (70001, 50004), (70002, 50001), (70003, 50003), (70003, 50004), (70004, 50004);

INSERT INTO oauth_client (client_id, name, redirect_uris, grant_types, scopes, skip_authorization, whole_access, invitation_url) VALUES
  ('T6hjXsAUCfU0IAoYwp13FlQFJfAZsotfbyKtyIsL', 'CareX', '{}', '{authorization_code,refresh_token}', '{openid,email}', true, true, 'https://carex.ai/invitation/CODE'),
  ('KqJ4xgQ0k8mAvhC5sYz2bWlRnTe7uPdX9oIfGc3H', 'CommonHealth', '{}', '{authorization_code,refresh_token}', '{openid,email}', true, true, 'https://commonhealth.tcp.org?invitation=CODE'),
  ('aDRrBOhtCcEcacScy8mJjtvCuZyWtDUUooHWERJK', 'Patient Access', '{}', '{authorization_code,refresh_token}', '{openid,email}', true, true, 'http://localhost:8001/clients/patient-access/?code=CODE'),
  ('eJAMvDpDlCc5chkyJH4SpccrbsykvSvPfnV6Wp4T', 'JHE Admin UI', '{}', '{authorization_code,refresh_token}', '{openid,profile,email,offline_access}', true, true, NULL);

INSERT INTO organization (name, type, part_of) VALUES
  ('Planetary Research Institute', 'edu', 0), ('Saturn School of Data Science', 'team', 20001), ('Lifespan Lab', 'laboratory', 20002),
  ('Neptune Health System', 'prov', 0), ('Department of Medicine', 'dept', 20004), ('Cardiology Division', 'dept', 20005),
  ('Neptunian Pulse Lab', 'laboratory', 20006), ('Cosmic Cardio Lab', 'laboratory', 20006);

INSERT INTO app_user (email, first_name, last_name, user_type, is_superuser) VALUES
  ('admin@example.com', '', '', 'practitioner', true),
  ('manager_mary@example.com', 'ManagerMary', 'Wiley', 'practitioner', false),
  ('member_megan@example.com', 'MemberMegan', 'Knapp', 'practitioner', false),
  ('viewer_victor@example.com', 'ViewerVictor', 'Rosales', 'practitioner', false),
  ('three_org_tom@example.com', 'ThreeOrgTom', 'Anderson', 'practitioner', false),
  ('ll_patient_peter@example.com', 'LlPatientPeter', 'Stevens', 'patient', false),
  ('ll_patient_pamela@example.com', 'LlPatientPamela', 'Hunt', 'patient', false),
  ('manager_mark@example.com', 'ManagerMark', 'Knox', 'practitioner', false),
  ('npl_patient_percy@example.com', 'NplPatientPercy', 'Lane', 'patient', false),
  ('ccl_patient_paul@example.com', 'CclPatientPaul', 'Burke', 'patient', false),
  ('ccl_cardio_patient_pat@example.com', 'CclCardioPatientPat', 'Moreno', 'patient', false);

INSERT INTO study (organization_id, name, description) VALUES
  (20003, 'Lifespan Study on BP & HR', 'Blood Pressure & Heart Rate'),
  (20003, 'Lifespan Study on BP', 'Blood Pressure'),
  (20006, 'Cardiology Div Study on BGL', 'Blood Glucose'),
  (20007, 'Nep Pulse Lab Study on BT', 'Body Temperature'),
  (20008, 'Cosmic Cardio Lab Study on O2', 'Oxygen Saturation');

INSERT INTO practitioner (user_id, settings) VALUES
  (10001, '{}'),
  (10002, '{"currentStudyId": 30001, "currentOrganizationId": 20003}'),
  (10003, '{"currentStudyId": 30001, "currentOrganizationId": 20003}'),
  (10004, '{"currentStudyId": 30001, "currentOrganizationId": 20003}'),
  (10005, '{"currentStudyId": 30005, "currentOrganizationId": 20008}'),
  (10008, '{"currentStudyId": 30004, "currentOrganizationId": 20007}');

INSERT INTO organization_member (practitioner_id, organization_id, role) VALUES
  (80002, 20001, 'manager'), (80002, 20002, 'manager'), (80002, 20003, 'manager'),
  (80003, 20003, 'member'), (80004, 20003, 'viewer'),
  (80005, 20003, 'viewer'), (80005, 20007, 'member'), (80005, 20008, 'manager'),
  (80006, 20004, 'manager'), (80006, 20005, 'manager'), (80006, 20006, 'manager'), (80006, 20007, 'manager');

INSERT INTO patient (user_id, name_family, name_given, birth_date, telecom_phone, telecom_email) VALUES
  (10006, 'Stevens', 'LlPatientPeter', '1982-01-13', '+1-157-915-3889', 'll_patient_peter@example.com'),
  (10007, 'Hunt', 'LlPatientPamela', '1975-06-02', NULL, 'll_patient_pamela@example.com'),
  (10009, 'Lane', 'NplPatientPercy', '1990-11-23', NULL, 'npl_patient_percy@example.com'),
  (10010, 'Burke', 'CclPatientPaul', '1968-03-30', NULL, 'ccl_patient_paul@example.com'),
  (10011, 'Moreno', 'CclCardioPatientPat', '1988-09-14', NULL, 'ccl_cardio_patient_pat@example.com');

INSERT INTO patient_identifier (patient_id, system, value) VALUES
  (40001, 'https://openwearables.io/ns/patient-id', 'abc123'), (40001, 'urn:oid:1.2.3.4', 'E1234');

INSERT INTO patient_organization (patient_id, organization_id) VALUES
  (40001, 20003), (40002, 20003), (40003, 20007), (40004, 20008), (40005, 20006), (40005, 20008);

INSERT INTO study_scope_request (study_id, scope_id) VALUES
  (30001, 50002), (30001, 50004), (30001, 50011), (30002, 50002), (30002, 50011),
  (30003, 50001), (30004, 50003), (30005, 50005);

INSERT INTO study_data_source (study_id, data_source_id) VALUES
  (30001, 70001), (30001, 70005), (30002, 70001), (30002, 70005), (30003, 70002), (30004, 70003), (30005, 70003);

INSERT INTO study_client (study_id, client_id) VALUES (30001, 1), (30001, 3), (30002, 1), (30003, 2), (30004, 2), (30005, 2);

INSERT INTO client_data_source (client_id, data_source_id) VALUES (1, 70001), (1, 70005), (2, 70002), (2, 70003);

INSERT INTO study_patient (study_id, organization_id, patient_id) VALUES
  (30001, 20003, 40001), (30002, 20003, 40001), (30001, 20003, 40002), (30002, 20003, 40002),
  (30003, 20006, 40005), (30004, 20007, 40003), (30005, 20008, 40004), (30005, 20008, 40005);

INSERT INTO consent_event (patient_id, study_id, scope_id, decision, decided_by, request_id)
SELECT c.patient_id, c.study_id, c.scope_id, 'granted', p.user_id, 'demo-world'
  FROM (VALUES (1, 40001, 30001, 50002), (2, 40001, 30001, 50004), (3, 40001, 30001, 50011),
               (4, 40002, 30001, 50002), (5, 40002, 30001, 50004), (6, 40002, 30001, 50011),
               (7, 40002, 30002, 50002), (8, 40002, 30002, 50011),
               (9, 40005, 30003, 50001), (10, 40003, 30004, 50003), (11, 40004, 30005, 50005), (12, 40005, 30005, 50005))
       AS c(n, patient_id, study_id, scope_id)
  JOIN patient p ON p.id = c.patient_id
 ORDER BY c.n;
