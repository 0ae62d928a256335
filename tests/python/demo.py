"""The whole story on a throw-away instance: enrolment, invitation, consent, upload, reading, revoking, and who looked.

Exits non-zero where a promise breaks. `--quiet` prints only what broke, and the count.
"""

import base64
import datetime
import json
import sys
import uuid

import requests
from instance import Instance
from jupyterhealth_client import JupyterHealthClient

SYSTEM = "https://w3id.org/openmhealth"
PRESSURE, RATE, QUESTIONNAIRE = "omh:blood-pressure:4.0", "omh:heart-rate:2.0", "QuestionnaireResponse"
STUDY, ORGANIZATION, CAREX_CLIENT, CAREX_DEVICE = 30001, 20003, 1, 70001
QUIET = "--quiet" in sys.argv


class Story:
    """Counts promises kept and broken."""

    def __init__(self) -> None:
        self.kept = self.broken = 0

    def say(self, text: str) -> None:
        if not QUIET:
            print(text, flush=True)

    def promise(self, text: str, kept: bool, detail: object = "") -> None:
        if kept:
            self.kept += 1
            self.say(f"   ok      {text}")
        else:
            self.broken += 1
            print(f"   BROKEN  {text} {detail}", flush=True)


class Person:
    """Somebody with an access token."""

    def __init__(self, base: str, token: str) -> None:
        self.base = base
        self.session = requests.Session()
        self.session.headers["Authorization"] = f"Bearer {token}"

    def call(self, method: str, path: str, body: object = None, expect: int = 200) -> dict:
        response = self.session.request(method, self.base + path, json=body)
        if response.status_code != expect:
            raise SystemExit(f"{method} {path}: {response.status_code}, expected {expect}: {response.text[:500]}")
        return response.json() if response.content else {}


def data_point(code: str, at: datetime.datetime, body: dict) -> dict:
    namespace, name, version = code.split(":")
    instant = at.isoformat()
    return {
        "header": {
            "uuid": str(uuid.uuid4()),
            "schema_id": {"namespace": namespace, "name": name, "version": version},
            "source_creation_date_time": instant,
            "modality": "sensed",
            "external_datasheets": [{"datasheet_type": "manufacturer", "datasheet_reference": "CareX"}],
        },
        "body": {**body, "effective_time_frame": {"date_time": instant}},
    }


def entry(patient: int, code: str, point: dict) -> dict:
    return {
        "request": {"method": "POST", "url": "Observation"},
        "resource": {
            "resourceType": "Observation",
            "status": "final",
            "identifier": [{"system": "https://carex.example/point", "value": point["header"]["uuid"]}],
            "code": {"coding": [{"system": SYSTEM, "code": code}]},
            "subject": {"reference": f"Patient/{patient}"},
            "device": {"reference": f"Device/{CAREX_DEVICE}"},
            "valueAttachment": {
                "contentType": "application/json",
                "data": base64.b64encode(json.dumps(point).encode()).decode(),
            },
        },
    }


def week_of_points() -> list[tuple[str, dict]]:
    """Seven days of blood pressure, morning and evening, and of heart rate every four hours."""
    monday = datetime.datetime(2026, 3, 2, tzinfo=datetime.timezone.utc)
    points = []
    for day in range(7):
        for hour, systolic in ((7, 118), (21, 126)):
            at = monday + datetime.timedelta(days=day, hours=hour)
            body = {
                "systolic_blood_pressure": {"unit": "mmHg", "value": systolic + day},
                "diastolic_blood_pressure": {"unit": "mmHg", "value": 76 + day % 3},
            }
            points.append((PRESSURE, data_point(PRESSURE, at, body)))
        for hour in range(0, 24, 4):
            at = monday + datetime.timedelta(days=day, hours=hour)
            points.append((RATE, data_point(RATE, at, {"heart_rate": {"unit": "beats/min", "value": 58 + hour + day}})))
    return points


def decision(code: str, consented: bool) -> dict:
    system = SYSTEM if code.startswith("omh:") else "http://hl7.org/fhir/resource-types"
    return {"codingSystem": system, "codingCode": code, "consented": consented}


def decide(patient: Person, number: int, method: str, expect: int, *decisions: dict) -> None:
    body = {"studyScopeConsents": [{"studyId": STUDY, "scopeConsents": list(decisions)}]}
    patient.call(method, f"/api/v1/patients/{number}/consents", body, expect)


def redeem(base: str, token: str) -> str:
    """The app's half of the invitation: the code, and its exchange with PKCE (RFC 7636)."""
    redeemed = requests.post(f"{base}/api/v1/invitation/{token}").json()
    verifier = base64.urlsafe_b64encode(token.encode()).decode().rstrip("=")
    answer = requests.post(redeemed["token_endpoint"], data={**redeemed["grant"], "code_verifier": verifier})
    if answer.status_code != 200:
        raise SystemExit(f"the token endpoint: {answer.status_code} {answer.text}")
    return answer.json()["access_token"]


def tell(jhe: Instance, story: Story) -> None:
    base = jhe.base
    megan = Person(base, jhe.token("member_megan"))

    story.say("1. Megan, a coordinator, creates a patient, enrols them in a study and invites their app.")
    patient = megan.call(
        "POST",
        "/api/v1/patients",
        {
            "organizationId": ORGANIZATION,
            "telecomEmail": "nora.new@example.com",
            "nameFamily": "New",
            "nameGiven": "Nora",
            "birthDate": "1991-04-12",
        },
        201,
    )
    number = patient["id"]
    megan.call("POST", f"/api/v1/studies/{STUDY}/patients", {"patientIds": [number]}, 201)
    invitation = megan.call("POST", "/api/v1/invitation", {"patientId": number, "client_id": CAREX_CLIENT, "sendEmail": False}, 201)
    story.promise("the invitation carries a link for the patient's app", "carex.ai/invitation/" in invitation["invitationLink"])

    story.say("2. The app redeems the invitation and exchanges the code, with PKCE.")
    token = redeem(base, invitation["token"])
    nora = Person(base, token)
    story.promise("the token is the patient's own", nora.call("GET", "/api/v1/patients/me")["id"] == number)

    story.say("3. The patient grants two of three scopes.")
    decide(nora, number, "POST", 201, decision(PRESSURE, True), decision(RATE, True), decision(QUESTIONNAIRE, False))
    granted = {scope["codingCode"] for scope in nora.call("GET", f"/api/v1/patients/{number}/consents")["consolidatedConsentedScopes"]}
    story.promise("exactly the two are granted", granted == {PRESSURE, RATE}, granted)

    story.say("4. The app uploads a week of Open mHealth points in one bundle.")
    points = week_of_points()
    bundle = {"resourceType": "Bundle", "type": "batch", "entry": [entry(number, code, point) for code, point in points]}
    answer = nora.call("POST", "/FHIR/R5", bundle)
    created = [one["response"]["status"] for one in answer["entry"]]
    story.promise(f"all {len(points)} are stored", created == ["201 Created"] * len(points), created)

    story.say("5. Victor, a researcher, reads them with jupyterhealth-client into a DataFrame.")
    victor = JupyterHealthClient(base, token=jhe.token("viewer_victor"))
    frame = victor.list_observations_df(patient_id=number, study_id=STUDY)
    pressures = sum(code == PRESSURE for code, _ in points)
    story.promise("every consented point is in the DataFrame", len(frame) == len(points), len(frame))
    columns = ["effectiveDateTime", "code_coding_0_display", "systolic_blood_pressure_value", "heart_rate_value"]
    if not QUIET:
        print(frame[columns].head(4).to_string(index=False))

    story.say("6. The patient revokes heart rate: it is gone for the researcher at once.")
    decide(nora, number, "PATCH", 200, decision(RATE, False))
    seen = {one["code"]["coding"][0]["code"] for one in victor.list_observations(patient_id=number)}
    story.promise("only blood pressure is left", seen == {PRESSURE}, seen)
    count = len(list(victor.list_observations(study_id=STUDY, code=RATE, patient_id=number)))
    story.promise("asking for heart rate by study finds nothing", count == 0, count)
    own = nora.call("GET", "/FHIR/R5/Observation?_summary=count")["total"]
    story.promise("the patient still sees all of it", own == len(points), own)

    story.say("7. The patient grants it again: it is back, and nothing was lost.")
    decide(nora, number, "PATCH", 200, decision(RATE, True))
    count = len(list(victor.list_observations(patient_id=number)))
    story.promise("all points are back", count == len(points), count)

    story.say("8. The patient lists who viewed which observation.")
    log = nora.call("GET", "/api/v1/patients/me/access-log?pageSize=1000")["results"]
    views = [row for row in log if row["action"] == "search" and (row["actor"] or {}).get("email", "").startswith("viewer_victor")]
    viewed = {number for row in views for number in row["observationIds"]}
    story.promise("every observation that Victor was shown is named", len(viewed) == len(points), len(viewed))
    story.promise("each view names the study", all(any(study["id"] == STUDY for study in row["studies"]) for row in views if row["observationIds"]))
    after_revoking = [row for row in views if len(row["observationIds"]) == pressures]
    story.promise("the view after revoking names only blood pressure", len(after_revoking) >= 1, [len(row["observationIds"]) for row in views])
    if not QUIET:
        for row in views[:3]:
            print(f"   {row['occurredAt']}  {row['actor']['email']}  {row['action']}  {len(row['observationIds'])} observations  {row['outcome']}")

    story.say("9. And nobody else: a practitioner of another organization is refused, and the patient sees the attempt.")
    mark = Person(base, jhe.token("manager_mark"))
    mark.call("GET", f"/FHIR/R5/Observation?patient={number}", expect=403)
    mark.call("GET", f"/FHIR/R5/Observation/{answer['entry'][0]['resource']['id']}", expect=404)
    denied = [row for row in nora.call("GET", "/api/v1/patients/me/access-log")["results"] if row["outcome"] == "denied"]
    story.promise("both refusals are in the patient's log, with the layer that refused", [row["refusedBy"] for row in denied] == ["organization"] * 2, denied)


def main() -> int:
    story = Story()
    with Instance() as jhe:
        tell(jhe, story)
    print(f"{story.kept} passed, {story.broken} failed")
    return 1 if story.broken else 0


if __name__ == "__main__":
    sys.exit(main())
