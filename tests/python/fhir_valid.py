"""Whatever the FHIR routes answer is valid R5: every user, every resource type of the capability statement, every kind of answer.

An independent implementation of R5 (fhir.resources) reads the answers. Ends with `N passed, N failed`.
"""

import base64
import json
import re
from collections.abc import Iterator
from importlib import import_module
from urllib.parse import urlsplit

import requests
from fhir.resources import get_fhir_model_class
from instance import Instance

SYSTEM = "https://w3id.org/openmhealth"
PATIENTS = (40001, 40002, 40003, 40004, 40005)
STUDIES = (30001, 30002, 30003, 30004, 30005)

# A value that each kind of search parameter takes.
SAMPLES = {"date": "ge2020-01-01", "number": "1", "reference": "40001", "string": "a", "token": "a", "uri": "https://a.example"}
SAMPLES_BY_NAME = {"_id": "1", "status": "final", "identifier": "https://a.example|a", "gender": "unknown", "active": "true"}
# What is not as everywhere: ids of events are numbers, their codes and actors have values of their own.
SAMPLES_OF_EVENTS = {"_id": "1", "action": "R", "agent": "Practitioner/80001", "outcome": "0"}


def problems_of(resource: object) -> list[str]:
    """What is wrong with a resource: first by its own type, then what the models let pass."""
    if not isinstance(resource, dict) or not isinstance(resource.get("resourceType"), str):
        return ["not a resource"]
    found = []
    try:
        get_fhir_model_class(resource["resourceType"]).model_validate(resource)
    except (KeyError, LookupError) as error:
        return [f"no such type: {error}"]
    except ValueError as error:
        found.append(str(error))
    found.extend(empty_parts(resource, resource["resourceType"]))
    if resource["resourceType"] == "Bundle":
        found.extend(bundle_problems(resource))
    if resource["resourceType"] == "OperationOutcome" and not resource.get("issue"):
        found.append("an outcome without issues")
    return found


def empty_parts(value: object, path: str) -> Iterator[str]:
    """FHIR's JSON has no null, no empty text and no empty object or list. A page without matches has `entry: []` on purpose."""
    if value is None or value in ("", {}) or (value == [] and path != "Bundle.entry"):
        yield f"{path} is empty"
    elif isinstance(value, dict):
        for name, part in value.items():
            yield from empty_parts(part, f"{path}.{name}")
    elif isinstance(value, list):
        for part in value:
            yield from empty_parts(part, path + "[]")


def bundle_problems(bundle: dict) -> Iterator[str]:
    """The invariants of Bundle (bdl-1 to bdl-4, bdl-7, bdl-8, bdl-18) that concern what a server answers."""
    kind = bundle["type"]
    if "total" in bundle and kind != "searchset":
        yield "bdl-1: a total in what is no searchset"
    if kind == "searchset" and not any(link["relation"] == "self" for link in bundle.get("link", [])):
        yield "bdl-18: no self link"
    urls = [entry["fullUrl"] for entry in bundle.get("entry", []) if "fullUrl" in entry]
    if len(urls) != len(set(urls)) and kind != "history":
        yield "bdl-7: a full URL twice"
    if any("/_history/" in url for url in urls):
        yield "bdl-8: a full URL of a version"
    for entry in bundle.get("entry", []):
        resource = entry.get("resource")
        if "search" in entry and kind != "searchset":
            yield "bdl-2: a search in what is no searchset"
        if ("request" in entry) != (kind == "history"):
            yield "bdl-3: a request where none belongs, or none where one does"
        if ("response" in entry) != (kind.endswith("-response") or kind == "history"):
            yield "bdl-4: a response where none belongs, or none where one does"
        if kind == "searchset" and not entry.get("fullUrl", "").endswith(f"/{resource['resourceType']}/{resource['id']}"):
            yield f"the full URL is not that of {resource['resourceType']}/{resource['id']}"
        if resource:
            yield from problems_of(resource)
        outcome = entry.get("response", {}).get("outcome")
        if outcome:
            yield from problems_of(outcome)
        if "response" in entry and not re.match(r"\d{3}( |$)", entry["response"]["status"]):
            yield "the status does not start with its number"


class Check:
    """Asks the server and counts which answers are valid."""

    def __init__(self, jhe: Instance) -> None:
        self.jhe = jhe
        self.passed = self.failed = 0
        self.types: set[str] = set()

    def report(self, what: str, problems: list[str]) -> None:
        if problems:
            self.failed += 1
            print(f"{what}:", *problems[:5], sep="\n    ", flush=True)
        else:
            self.passed += 1

    def ask(self, user: str, method: str, path: str, status: int | tuple[int, ...], **options: object) -> dict:
        """One request: its answer must have the status and be valid."""
        headers = {"Accept": "application/fhir+json", **options.pop("headers", {})}
        if user:
            headers["Authorization"] = f"Bearer {self.jhe.token(user)}"
        url = path if path.startswith("http") else self.jhe.base + path
        response = requests.request(method, url, headers=headers, timeout=60, **options)
        expected = status if isinstance(status, tuple) else (status,)
        problems = [] if response.status_code in expected else [f"status {response.status_code}: {response.text[:300]}"]
        try:
            resource = response.json()
        except ValueError:
            resource = {}
        problems += problems_of(resource)
        if response.status_code >= 400 and resource.get("resourceType") != "OperationOutcome":
            problems.append("an error that is no OperationOutcome")
        if not response.headers["Content-Type"].startswith("application/"):
            problems.append(f"the content type is {response.headers['Content-Type']}")
        self.types.add(resource.get("resourceType", ""))
        self.report(f"{user or 'anonymous'} {method} {urlsplit(url).path}?{urlsplit(url).query}", problems)
        return resource

    def walk(self, user: str, path: str) -> list[dict]:
        """All pages of a search, one resource on each."""
        found = []
        page = self.ask(user, "GET", path, (200, 400, 403))
        while page.get("resourceType") == "Bundle":
            found += [entry["resource"] for entry in page["entry"]]
            following = [link["url"] for link in page["link"] if link["relation"] == "next"]
            if not following or len(found) > 50:
                break
            page = self.ask(user, "GET", following[0], 200)
        return found


# What a practitioner searches without naming a patient or a study; everything else is data of patients.
DIRECTORY = {"Device", "Group", "Organization", "Patient", "Practitioner"}


def searches(resource_type: str) -> list[str]:
    base = f"/FHIR/R5/{resource_type}"
    if resource_type in DIRECTORY:
        return [base]
    if resource_type != "Observation":
        return [base, f"{base}?patient={PATIENTS[0]}"]
    named = [f"patient={patient}" for patient in PATIENTS] + [f"patient._has:Group:member:_id={study}" for study in STUDIES]
    return [base] + [f"{base}?{query}" for query in named]


def with_query(path: str, query: str) -> str:
    return f"{path}{'&' if '?' in path else '?'}{query}"


def read_and_search(check: Check, statement: dict) -> None:
    """Every user reads and searches every type, in pages, empty pages and counts."""
    for user in check.jhe.demo["users"]:
        for entry in statement["rest"][0]["resource"]:
            kind = entry["type"]
            if "searchParam" not in entry:
                # What is only read by its id is found by $everything.
                continue
            for path in searches(kind):
                resources = check.walk(user, with_query(path, "_count=1"))
                for query in ("_summary=count", "_total=accurate", "_id=99999", "_count=1000&favourite=1"):
                    check.ask(user, "GET", with_query(path, query), (200, 400, 403))
                for resource in resources:
                    read = check.ask(user, "GET", f"/FHIR/R5/{kind}/{resource['id']}", 200)
                    check.report(f"{user} {kind}/{resource['id']}: read and found", [] if read == resource else ["they differ"])
            form = {"_count": "2"} if kind in DIRECTORY else {"patient": "40001"}
            check.ask(user, "POST", f"/FHIR/R5/{kind}/_search", (200, 403), data=form)
            check.ask(user, "GET", f"/FHIR/R5/{kind}/99999", 404)
            check.ask(user, "GET", f"/FHIR/R5/{kind}/abc", 404)


def everything(check: Check) -> None:
    """Every user asks for everything of every patient, whole and in pages, and reads each resource by its URL."""
    for user in check.jhe.demo["users"]:
        for patient in PATIENTS:
            path = f"/FHIR/R5/Patient/{patient}/$everything"
            page = check.ask(user, "GET", f"{path}?_count=1000", (200, 404))
            if page["resourceType"] != "Bundle":
                continue
            resources = [entry["resource"] for entry in page["entry"]]
            check.report(f"{user} {path} in pages", [] if check.walk(user, f"{path}?_count=9")[:50] == resources[:50] else ["they differ"])
            for resource in resources:
                read = check.ask(user, "GET", f"/FHIR/R5/{resource['resourceType']}/{resource['id']}", 200)
                check.report(f"{user} {resource['resourceType']}/{resource['id']}: read and found", [] if read == resource else ["they differ"])


def declared(check: Check, statement: dict) -> None:
    """What the capability statement says is offered is offered: each search parameter, strictly."""
    for entry in statement["rest"][0]["resource"]:
        for parameter in entry.get("searchParam", []):
            value = SAMPLES_BY_NAME.get(parameter["name"], SAMPLES[parameter["type"]])
            query = {parameter["name"]: value}
            if entry["type"] == "Observation" and parameter["name"] in ("identifier", "date"):
                query["patient"] = "40001"
            if entry["type"] == "AuditEvent":
                query = {parameter["name"]: SAMPLES_OF_EVENTS.get(parameter["name"], value)}
            elif entry["type"] not in DIRECTORY | {"Observation"}:
                # Kept as they come: their ids are UUIDs, and a search names a patient.
                query = {"_id": "aaaaaaaa-0000-4000-8000-000000000001"} if "_id" in query else query
                query |= {} if "subject" in query else {"patient": "40001"}
            check.ask("admin", "GET", f"/FHIR/R5/{entry['type']}", 200, params=query, headers={"Prefer": "handling=strict"})


def refusals(check: Check) -> None:
    observation = "/FHIR/R5/Observation"
    check.ask("", "GET", observation, 401)
    check.ask("viewer_victor", "GET", observation, 400)
    check.ask("viewer_victor", "GET", f"{observation}?patient=40003", 403)
    check.ask("viewer_victor", "GET", f"{observation}?patient=40001&_sort=colour", 400)
    check.ask("viewer_victor", "GET", f"{observation}/60007", 404)
    check.ask("viewer_victor", "PUT", f"{observation}/60001", 400, json={})
    check.ask("viewer_victor", "PATCH", f"{observation}/60001", 405, json={})
    check.ask("viewer_victor", "DELETE", f"{observation}/60001", 405)
    check.ask("viewer_victor", "GET", "/FHIR/R5/Nothing", 404)
    check.ask("viewer_victor", "GET", f"{observation}/60001", 406, headers={"Accept": "application/fhir+xml"})
    check.ask("ll_patient_peter", "POST", observation, 415, data="<Observation/>", headers={"Content-Type": "application/fhir+xml"})
    check.ask("ll_patient_peter", "POST", observation, 400, data="{", headers={"Content-Type": "application/json"})
    check.ask("ll_patient_peter", "POST", observation, 413, data="1" * 7_000_000, headers={"Content-Type": "application/json"})
    check.ask("ll_patient_peter", "POST", "/FHIR/R5", 400, json={"resourceType": "Bundle", "type": "batch"})


def upload(patient: int, body: dict, code: str = "omh:heart-rate:2.0", **members: object) -> dict:
    namespace, name, version = code.split(":")
    header = {
        "uuid": "7f0e4ff0-4f3b-4c35-9d8a-0d9c6a4f2b11",
        "schema_id": {"namespace": namespace, "name": name, "version": version},
        "source_creation_date_time": "2026-02-01T08:00:00Z",
        "modality": "sensed",
    }
    point = json.dumps({"header": header, "body": body, "note": "Größe 身長"}, ensure_ascii=False)
    return {
        "resourceType": "Observation",
        "status": "final",
        "code": {"coding": [{"system": SYSTEM, "code": code}]},
        "subject": {"reference": f"Patient/{patient}"},
        "device": {"reference": "Device/70001"},
        "valueAttachment": {"contentType": "application/json", "data": base64.b64encode(point.encode()).decode()},
        **members,
    }


def uploads(check: Check) -> None:
    """Creates with all that is kept, and bundles of every fate."""
    rate = {"heart_rate": {"unit": "beats/min", "value": 61}}
    instant = rate | {"effective_time_frame": {"date_time": "2026-02-01T08:00:00.125+01:00"}}
    interval = {"start_date_time": "2026-02-01T08:00:00Z", "end_date_time": "2026-02-01T09:00:00Z"}
    period = rate | {"effective_time_frame": {"time_interval": interval}}
    full = upload(
        40001,
        instant,
        status="entered-in-error",
        identifier=[{"use": "official", "system": "https://a.example", "value": "Zoë 1"}, {"value": "2"}],
        category=[{"coding": [{"system": "http://terminology.hl7.org/CodeSystem/observation-category", "code": "vital-signs"}]}],
        issued="2026-02-01T08:00:01.5Z",
    )
    full["code"]["text"] = 'quotes " and \\ and \U0001f9e1'
    full["valueAttachment"] |= {"title": "a point", "creation": "2026-02", "language": "en"}
    for resource in (full, upload(40001, period)):
        created = check.ask("ll_patient_peter", "POST", "/FHIR/R5/Observation", 201, json=resource)
        check.ask("viewer_victor", "GET", f"/FHIR/R5/Observation/{created.get('id')}", 200)
    check.ask("ll_patient_peter", "POST", "/FHIR/R5/Observation", 409, json=full)
    check.ask("ll_patient_peter", "POST", "/FHIR/R5/Observation", 422, json=upload(40001, {}))
    glucose = upload(40001, {"blood_glucose": {"unit": "mg/dL", "value": 90}} | period, "omh:blood-glucose:4.0")
    glucose_point = json.loads(base64.b64decode(glucose["valueAttachment"]["data"]))
    glucose_point["body"].pop("heart_rate")
    glucose["valueAttachment"]["data"] = base64.b64encode(json.dumps(glucose_point).encode()).decode()
    check.ask("ll_patient_peter", "POST", "/FHIR/R5/Observation", 403, json=glucose)

    def entry(resource: dict, method: str = "POST", url: str = "Observation") -> dict:
        return {"resource": resource, "request": {"method": method, "url": url}}

    good = entry(upload(40001, instant))
    mixed = [good, entry(full), entry(upload(40001, {})), entry(glucose), entry(upload(40001, instant), "PUT"), {}, good]
    for kind in ("batch", "transaction"):
        bundle = {"resourceType": "Bundle", "type": kind, "entry": [good, good]}
        check.ask("member_megan", "POST", "/FHIR/R5", 200, json=bundle)
        check.ask("member_megan", "POST", "/FHIR/R5/", 200 if kind == "batch" else (400, 403, 405, 409, 422), json=bundle | {"entry": mixed})


def amendments(check: Check) -> None:
    """An Observation in several versions, each by itself and all of them, and what is refused."""
    body = {"heart_rate": {"unit": "beats/min", "value": 61}, "effective_time_frame": {"date_time": "2026-02-03T08:00:00Z"}}
    created = check.ask("ll_patient_peter", "POST", "/FHIR/R5/Observation", 201, json=upload(40001, body))
    path = f"/FHIR/R5/Observation/{created.get('id')}"
    why = {"X-JHE-Reason": "The strap was loose"}
    for version, status in ((1, "amended"), (2, "entered-in-error")):
        headers = why | {"If-Match": f'W/"{version}"'}
        amended = check.ask("ll_patient_peter", "PUT", path, 200, json=created | {"status": status}, headers=headers)
        check.report("the version", [] if amended.get("meta", {}).get("versionId") == str(version + 1) else [str(amended)])
    for headers, refused in ((why, 400), ({"If-Match": 'W/"3"'}, 400), (why | {"If-Match": 'W/"1"'}, 412)):
        check.ask("ll_patient_peter", "PUT", path, refused, json=created | {"status": "amended"}, headers=headers)
    check.ask("ll_patient_peter", "PUT", path, 422, json=created, headers=why | {"If-Match": 'W/"3"'})
    check.ask("member_megan", "PUT", path, 403, json=created | {"status": "amended"}, headers=why | {"If-Match": 'W/"3"'})
    for user in ("ll_patient_peter", "viewer_victor", "admin"):
        history = check.ask(user, "GET", f"{path}/_history", 200)
        check.report("a history", [] if history.get("type") == "history" and len(history["entry"]) == 3 else [str(history)[:300]])
        found = check.walk(user, f"{path}/_history?_count=1")
        check.report("its pages", [] if [one["meta"]["versionId"] for one in found] == ["3", "2", "1"] else [str(found)[:300]])
        for one in found:
            read = check.ask(user, "GET", f"{path}/_history/{one['meta']['versionId']}", 200)
            check.report("a version by itself", [] if read == one else [f"{read} is not {one}"[:300]])
    check.ask("viewer_victor", "GET", f"{path}/_history/4", 404)
    check.ask("manager_mark", "GET", f"{path}/_history", 404)


VALUES = [
    {"valueQuantity": {"value": 6.30, "comparator": "<", "unit": "mmol/L", "system": "http://unitsofmeasure.org", "code": "mmol/L"}},
    {"valueCodeableConcept": {"coding": [{"system": "http://snomed.info/sct", "code": "260385009"}], "text": "Negative"}},
    {"valueString": "two\nlines"},
    {"valueBoolean": False},
    {"valueInteger": -3},
    {"valueRange": {"low": {"value": 1}, "high": {"value": 2.50}}},
    {"valueRatio": {"numerator": {"value": 1}, "denominator": {"value": 128}}},
    {"valueSampledData": {"origin": {"value": 0}, "interval": 4.0, "intervalUnit": "ms", "dimensions": 1, "data": "1 -2.5 E U L"}},
    {"valueTime": "08:00:00"},
    {"valueDateTime": "2026-02"},
    {"valuePeriod": {"start": "2026-02-01", "end": "2026-02-02"}},
    {"valueAttachment": {"contentType": "image/png", "data": "iVBORw0=", "title": "a picture"}},
    {"dataAbsentReason": {"text": "Not asked"}},
    {"component": [{"code": {"text": "Systolic"}, "valueQuantity": {"value": 120.0}}, {"code": {"text": "x"}, "valueInteger": 1}]},
    {
        "valueInteger": 5,
        "interpretation": [{"text": "High"}],
        "note": [{"authorString": "A", "time": "2026-02-01", "text": "after lunch"}],
        "bodySite": {"text": "Arm"},
        "method": {"text": "Strip"},
        "referenceRange": [{"high": {"value": 5.4}, "appliesTo": [{"text": "Adults"}], "age": {"low": {"value": 18}}, "text": "t"}],
    },
]


def of_any_code(check: Check) -> None:
    """Observations of LOINC in every form, by themselves and brought from a server of R4."""
    loinc = {"codingSystem": "http://loinc.org", "codingCode": "2339-0"}

    def rest(user: str, method: str, path: str, body: dict) -> dict:
        headers = {"Authorization": f"Bearer {check.jhe.token(user)}"}
        return requests.request(method, check.jhe.base + path, json=body, headers=headers, timeout=60).json()

    scope = rest("admin", "POST", "/api/v1/data_sources/all_scopes", loinc | {"text": "Glucose"})
    rest("manager_mary", "POST", "/api/v1/studies/30001/scope_requests", {"scopeCodeId": scope["id"]})
    consents = [{"studyId": 30001, "scopeConsents": [loinc | {"consented": True}]}]
    rest("ll_patient_peter", "POST", "/api/v1/patients/40001/consents", {"studyScopeConsents": consents})
    source = rest(
        "ll_patient_peter", "POST", "/api/v1/fhir_sources", {"label": "l", "dataSource": 70005, "fhirBaseUrl": "https://ehr.example/R4"}
    )
    times = [{"effectiveDateTime": "2026-02-01T08:00:00+01:00"}, {"effectiveDateTime": "2026-02"}, {"issued": "2026-02-01T08:00:00Z"}]
    times += [{"effectivePeriod": {"start": "2026-02-01", "end": "2026-02-02"}}, {"effectiveInstant": "2026-02-01T08:00:00Z"}]
    for number, value in enumerate(VALUES):
        resource = {
            "resourceType": "Observation",
            "status": "final",
            "code": {"coding": [{"system": "http://loinc.org", "code": "2339-0"}], "text": "Glucose"},
            "subject": {"reference": "Patient/40001"},
            "device": {"reference": "Device/70001"},
            **times[number % len(times)],
            **value,
        }
        created = check.ask("ll_patient_peter", "POST", "/FHIR/R5/Observation", 201, json=resource)
        kept = {name: created.get(name) for name in value}
        check.report(f"{list(value)} comes back", [] if kept == value else [f"as {kept}"])
        check.ask("viewer_victor", "GET", f"/FHIR/R5/Observation/{created.get('id')}", 200)
    check.ask("ll_patient_peter", "POST", "/FHIR/R5/Observation", 400, json=resource | {"valueString": "two values"})
    r4 = {
        "resourceType": "Observation",
        "id": "r4",
        "status": "final",
        "code": resource["code"],
        "encounter": {"reference": "Encounter/1"},
        "effectiveDateTime": "2026-02-01",
        "valueSampledData": {"origin": {"value": 0}, "period": 4, "dimensions": 1, "data": "1 2"},
    }
    entries = [{"resource": r4}, {"resource": r4}, {"resource": {"resourceType": "Patient"}}, {}]
    bundle = {"resourceType": "Bundle", "type": "collection", "entry": entries}
    header = {"X-JHE-FHIR-Source-ID": str(source["id"])}
    check.ask("ll_patient_peter", "POST", "/fhir-import/R4", 200, json=bundle, headers=header)


def main() -> int:
    import_module("fhir.resources.bundle")
    with Instance() as jhe:
        check = Check(jhe)
        statement = check.ask("", "GET", "/FHIR/R5/metadata", 200)
        url = statement["implementation"]["url"]
        check.report("the statement names the base", [] if url == f"{jhe.base}/FHIR/R5" else [f"it names {url}"])
        uploads(check)
        amendments(check)
        of_any_code(check)
        read_and_search(check, statement)
        everything(check)
        declared(check, statement)
        refusals(check)
        # Resources that are kept as they come are as valid as their source sent them.
        expected = {"CapabilityStatement", "OperationOutcome", "Bundle", "Consent", "Observation"} | DIRECTORY
        check.report("every type was seen", [f"never seen: {kind}" for kind in sorted(expected - check.types)])
    print(f"{check.passed} passed, {check.failed} failed")
    return 1 if check.failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
