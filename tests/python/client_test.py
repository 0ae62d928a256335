"""Every method of the public jupyterhealth-client against a throw-away instance, and the key sets of the wire."""

import base64
import json
import sys
import warnings

import requests
from instance import Instance
from jupyterhealth_client import Code, JupyterHealthClient

# What existing programs find in an answer: by whom it is asked for, the request, a place in the answer, and its keys there.
# A FHIR resource may have more of them.
PATIENT = "birthDate id identifiers jheUserId nameFamily nameGiven organizations telecomEmail telecomPhone"
ORGANIZATION = "children currentUserRole id name partOf type"
STUDY = "accessUntil description endsOn iconUrl id name organization retentionPolicy startsOn status"
SCOPE = "codingCode codingSystem id text"
PAGE = "count next previous results"
USER = "email firstName id isSuperuser lastName patient userType"
CONSENTS = "consolidatedConsentedScopes patient studies studiesPendingConsent"
OBSERVATION = "code effectiveDateTime id identifier meta resourceType status subject valueAttachment"
WIRE = [
    ("viewer_victor", "/api/v1/users/profile", "", USER + " settings"),
    ("ll_patient_peter", "/api/v1/users/profile", "", USER),
    ("ll_patient_peter", "/api/v1/users/profile", "patient", PATIENT),
    ("viewer_victor", "/api/v1/organizations", "", PAGE),
    ("viewer_victor", "/api/v1/organizations", "results.0", ORGANIZATION),
    ("viewer_victor", "/api/v1/organizations/20003", "", ORGANIZATION),
    ("viewer_victor", "/api/v1/patients", "", PAGE),
    ("viewer_victor", "/api/v1/patients", "results.0", PATIENT),
    ("viewer_victor", "/api/v1/patients", "results.0.identifiers.0", "id system value"),
    ("viewer_victor", "/api/v1/patients", "results.0.organizations.0", ORGANIZATION),
    ("viewer_victor", "/api/v1/patients/40001", "", PATIENT),
    ("ll_patient_peter", "/api/v1/patients/me", "", PATIENT),
    ("member_megan", "/api/v1/patients/global_lookup?email=ll_patient_peter@example.com", "0", PATIENT),
    ("ll_patient_peter", "/api/v1/patients/40001/consents", "", CONSENTS),
    ("ll_patient_peter", "/api/v1/patients/40001/consents", "patient", PATIENT),
    ("ll_patient_peter", "/api/v1/patients/40001/consents", "consolidatedConsentedScopes.0", SCOPE),
    ("ll_patient_peter", "/api/v1/patients/40001/consents", "studies.0", "accessUntil dataSources description endsOn id name organization researchersHaveAccess scopeConsents startsOn status"),
    ("ll_patient_peter", "/api/v1/patients/40001/consents", "studies.0.scopeConsents.0", "actions code consented consentedTime"),
    ("ll_patient_peter", "/api/v1/patients/40001/consents", "studiesPendingConsent.0", "accessUntil dataSources description endsOn id name organization pendingScopeConsents researchersHaveAccess startsOn status"),
    ("ll_patient_peter", "/api/v1/patients/40001/consents", "studiesPendingConsent.0.pendingScopeConsents.0", "code consented consentedTime"),
    ("ll_patient_peter", "/api/v1/patients/40001/consents", "studiesPendingConsent.0.dataSources.0", "id name supportedScopes type"),
    ("viewer_victor", "/api/v1/studies", "", PAGE),
    ("viewer_victor", "/api/v1/studies", "results.0", STUDY),
    ("viewer_victor", "/api/v1/studies/30001", "", STUDY),
    ("viewer_victor", "/api/v1/studies/30001", "organization", "id name type"),
    ("viewer_victor", "/api/v1/studies/30001/patients", "results.0", PATIENT),
    ("viewer_victor", "/api/v1/data_sources", "results.0", "id name supportedScopes type"),
    ("viewer_victor", "/api/v1/data_sources/70001", "supportedScopes.0", SCOPE),
    ("viewer_victor", "/api/v1/data_sources/all_scopes", "0", SCOPE),
    ("viewer_victor", "/FHIR/R5/Observation?patient=40001", "entry.0.resource", OBSERVATION),
    ("viewer_victor", "/FHIR/R5/Observation?patient=40001", "entry.0.resource.code.coding.0", "code display system"),
    ("viewer_victor", "/FHIR/R5/Observation?patient=40001", "entry.0.resource.subject", "identifier reference"),
    ("viewer_victor", "/FHIR/R5/Observation?patient=40001", "entry.0.resource.valueAttachment", "contentType data"),
    ("viewer_victor", "/FHIR/R5/Observation/60001", "", OBSERVATION),
    ("viewer_victor", "/FHIR/R5/Patient/40001", "", "birthDate id identifier meta name resourceType telecom"),
    ("viewer_victor", "/FHIR/R5/Group/30001", "", "id membership meta name resourceType type"),
    ("viewer_victor", "/FHIR/R5/Device/70001", "", "id meta name resourceType type"),
    ("viewer_victor", "/FHIR/R5/Organization/20003", "", "id meta name resourceType type"),
    ("viewer_victor", "/FHIR/R5/Practitioner/80004", "", "id meta name resourceType"),
    ("viewer_victor", "/o/userinfo/", "", "email email_verified sub"),
    ("viewer_victor", "/health", "", "status version"),
]


class Count:
    """Counts checks that pass and fail, and names those that fail."""

    def __init__(self) -> None:
        self.passed = self.failed = 0

    def check(self, what: str, found: object, expected: object) -> None:
        if found == expected:
            self.passed += 1
        else:
            self.failed += 1
            print(f"FAILED {what}:\n    found    {found!r}\n    expected {expected!r}", flush=True)

    def raises(self, what: str, error: str, call) -> None:
        try:
            call()
        except Exception as caught:  # noqa: BLE001
            self.check(what, type(caught).__name__, error)
        else:
            self.check(what, "no error", error)


def ids(rows) -> list:
    return sorted(row["id"] for row in rows)


def rest(count: Count, victor: JupyterHealthClient, megan: JupyterHealthClient) -> None:
    count.check("get_user", victor.get_user()["id"], 10004)
    count.check("list_organizations", ids(victor.list_organizations()), [20003])
    count.check("get_organization", victor.get_organization(20003)["name"], "Lifespan Lab")
    count.check("list_studies", ids(victor.list_studies()), [30001, 30002])
    count.check("list_studies of an organization", ids(victor.list_studies(organization_id=20003)), [30001, 30002])
    count.check("get_study", victor.get_study(30001)["organization"]["id"], 20003)
    count.check("list_patients", ids(victor.list_patients()), [40001, 40002])
    count.check("list_patients of an organization", ids(victor.list_patients(organization_id=20003)), [40001, 40002])
    count.check("list_patients of a study", ids(victor.list_patients(study_id=30002)), [40001, 40002])
    count.check("get_patient", victor.get_patient(40001)["nameFamily"], "Stevens")
    count.check("lookup_patient by e-mail", megan.lookup_patient(email="ll_patient_peter@example.com")["id"], 40001)
    count.check("lookup_patient by identifier", victor.lookup_patient(external_id="E1234")["id"], 40001)
    count.check("lookup_patient by system", victor.lookup_patient(external_id="E1234", system="urn:oid:1.2.3.4")["id"], 40001)
    count.check("lookup_patient by a viewer", victor.lookup_patient(email="ll_patient_peter@example.com")["id"], 40001)
    stranger = "npl_patient_percy@example.com"
    count.raises("lookup_patient of a stranger by a viewer", "KeyError", lambda: victor.lookup_patient(email=stranger))
    count.raises("lookup_patient of nobody", "KeyError", lambda: megan.lookup_patient(email="nobody@example.com"))
    count.raises("lookup_patient by another system", "KeyError", lambda: victor.lookup_patient(external_id="E1234", system="urn:other"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        count.check("get_patient_by_external_id", victor.get_patient_by_external_id("abc123")["id"], 40001)
    consents = victor.get_patient_consents(40001)
    count.check("get_patient_consents", len(consents["consolidatedConsentedScopes"]), 3)
    count.check("list_data_sources", ids(victor.list_data_sources()), list(range(70001, 70007)))
    for what, call in [
        ("get_patient", lambda: victor.get_patient(40003)),
        ("get_study", lambda: victor.get_study(30003)),
        ("get_organization", lambda: victor.get_organization(20004)),
        ("get_patient_consents", lambda: victor.get_patient_consents(40003)),
        ("list_patients", lambda: list(victor.list_patients(study_id=30003))),
    ]:
        count.raises(f"{what} of what is not one's own", "RequestError", call)


def fhir(count: Count, victor: JupyterHealthClient) -> None:
    count.check("list_observations of a patient", ids(victor.list_observations(patient_id=40001)), ["60001", "60002"])
    in_study = [f"6000{number}" for number in range(1, 6)]
    count.check("list_observations of a study", ids(victor.list_observations(study_id=30001)), in_study)
    both = ids(victor.list_observations(patient_id=40001, study_id=30001, code=Code.HEART_RATE))
    count.check("list_observations by code", both, ["60002"])
    count.check("list_observations with a limit", len(list(victor.list_observations(study_id=30001, limit=2))), 2)
    count.check("list_observations of a study without consent", ids(victor.list_observations(patient_id=40001, study_id=30002)), [])
    frame = victor.list_observations_df(study_id=30001)
    count.check("list_observations_df", len(frame), 5)
    wanted = {"effectiveDateTime", "code_coding_0_code", "systolic_blood_pressure_value", "heart_rate_value", "subject_reference", "schema_id_name"}
    count.check("the columns of list_observations_df", wanted - set(frame.columns), set())
    count.check("the values of list_observations_df", sorted(frame["heart_rate_value"].dropna()), [62, 71])
    count.raises("list_observations of what is not one's own", "RequestError", lambda: list(victor.list_observations(patient_id=40003)))
    for kind, expected in [("Patient", ["40001", "40002"]), ("Group", ["30001", "30002"]), ("Organization", ["20003"])]:
        count.check(f"list_fhir {kind}", ids(victor.list_fhir(kind)), expected)
    count.check("list_fhir of a study", ids(victor.list_fhir("Patient", study_id=30001)), ["40001", "40002"])
    pages = ids(victor.list_fhir("Observation", study_id=30001, params={"_count": 2}))
    count.check("list_fhir through all pages", pages, in_study)
    for kind, number in [("Patient", 40001), ("Observation", 60001), ("Group", 30001), ("Device", 70001), ("Practitioner", 80004)]:
        found = victor.get_fhir(kind, number)
        count.check(f"get_fhir {kind}", (found["resourceType"], found["id"]), (kind, str(number)))
    statement = victor.get_fhir_capability_statement()
    count.check("get_fhir_capability_statement", (statement["resourceType"], statement["fhirVersion"]), ("CapabilityStatement", "5.0.0"))
    types = set(victor.list_fhir_resource_types())
    count.check("list_fhir_resource_types", {"Patient", "Observation", "Group", "Device", "Organization", "Practitioner"} - types, set())


def heart_rate() -> dict:
    """An Observation with a data point, as a patient's app sends it."""
    header = {"uuid": "7f0e4ff0-4f3b-4c35-9d8a-0d9c6a4f2b11", "schema_id": {"namespace": "omh", "name": "heart-rate", "version": "2.0"}}
    header |= {"source_creation_date_time": "2026-02-01T08:00:00Z", "modality": "sensed"}
    body = {"heart_rate": {"unit": "beats/min", "value": 61}, "effective_time_frame": {"date_time": "2026-02-01T08:00:00Z"}}
    data = base64.b64encode(json.dumps({"header": header, "body": body}).encode()).decode()
    return {
        "resourceType": "Observation",
        "status": "final",
        "identifier": [{"system": "https://halo.example", "value": "brought-1"}],
        "code": {"coding": [{"system": "https://w3id.org/openmhealth", "code": "omh:heart-rate:2.0"}]},
        "subject": {"reference": "Patient/40001"},
        "device": {"reference": "Device/70002"},
        "valueAttachment": {"contentType": "application/json", "data": data},
    }


def kept(count: Count, jhe: Instance, victor: JupyterHealthClient) -> None:
    """Resources that are kept as they come: sent by the patient's app, read by a researcher who names the patient or the study."""
    peter = {"Authorization": f"Bearer {jhe.token('ll_patient_peter')}"}
    new = {"label": "Forms", "dataSource": 70005, "fhirBaseUrl": "https://fhir.halo.example/R4"}
    source = requests.post(jhe.base + "/api/v1/fhir_sources", headers=peter, json=new, timeout=30).json()["id"]
    form = {"resourceType": "QuestionnaireResponse", "status": "completed", "questionnaire": "Questionnaire/cough", "item": [{"linkId": "cough", "answer": [{"valueInteger": 37}]}]}
    headers = peter | {"X-JHE-FHIR-Source-ID": str(source)}
    sent = requests.post(jhe.base + "/FHIR/R5/QuestionnaireResponse", headers=headers, json=form, timeout=30).json()
    for chosen in [{}, {"fhir_source": "imported"}, {"fhir_source": str(source)}]:
        found = ids(victor.list_fhir("QuestionnaireResponse", patient_id=40001, **chosen))
        count.check(f"list_fhir QuestionnaireResponse {chosen}", found, [sent["id"]])
    count.check("list_fhir QuestionnaireResponse of a study", ids(victor.list_fhir("QuestionnaireResponse", study_id=30001)), [sent["id"]])
    count.check("list_fhir of another source", ids(victor.list_fhir("QuestionnaireResponse", patient_id=40001, fhir_source="1")), [])
    count.check("list_fhir Observation before one was brought", ids(victor.list_fhir("Observation", patient_id=40001, fhir_source="imported")), [])
    brought = requests.post(jhe.base + "/FHIR/R5/Observation", headers=headers, json=heart_rate(), timeout=30).json()
    for chosen in [{"patient_id": 40001}, {"study_id": 30001}, {"patient_id": 40001, "study_id": 30001}]:
        for where, expected in [("imported", [brought["id"]]), (str(source), [brought["id"]]), ("1", [])]:
            found = ids(victor.list_fhir("Observation", fhir_source=where, **chosen))
            count.check(f"list_fhir Observation of {where} {chosen}", found, expected)
    told = victor.get_fhir("Observation", brought["id"])["meta"]["source"]
    count.check("the source of an Observation", told, f"https://jupyterhealth.org/fhir/fhir-source/{source}")
    count.check("get_fhir QuestionnaireResponse", victor.get_fhir("QuestionnaireResponse", sent["id"])["item"], form["item"])
    types = set(victor.list_fhir_resource_types())
    count.check("the types that are kept as they come", {"QuestionnaireResponse", "Condition"} - types, set())


def wire(count: Count, jhe: Instance) -> None:
    for user, path, place, keys in WIRE:
        answer = requests.get(jhe.base + path, headers={"Authorization": f"Bearer {jhe.token(user)}"}, timeout=30)
        value = answer.json()
        for step in place.split(".") if place else []:
            value = value[int(step)] if step.isdigit() else value[step]
        found, expected = set(value), set(keys.split())
        if path.startswith("/FHIR/"):
            found &= expected
        count.check(f"the keys of {path} {place}", found, expected)


def main() -> int:
    count = Count()
    with Instance() as jhe:
        victor = JupyterHealthClient(jhe.base, token=jhe.token("viewer_victor"))
        megan = JupyterHealthClient(jhe.base, token=jhe.token("member_megan"))
        rest(count, victor, megan)
        fhir(count, victor)
        kept(count, jhe, victor)
        wire(count, jhe)
    print(f"{count.passed} passed, {count.failed} failed")
    return 1 if count.failed else 0


if __name__ == "__main__":
    sys.exit(main())
