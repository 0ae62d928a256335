"""The events of events/, in an order in which each finds what it needs, and what each must be answered.

A step names its event, the status, and what the body must be. What a later event needs is taken from the answer.
"""

import base64
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from io import BytesIO
from urllib.parse import parse_qs, urlsplit
from zipfile import ZipFile

from joserfc import jwt
from joserfc.jwk import KeySet

Values = dict[str, str]


@dataclass
class Answer:
    """What a function gave API Gateway."""

    raw: dict
    status: int = field(init=False)
    text: str = field(init=False)

    def __post_init__(self) -> None:
        self.status = self.raw["statusCode"]
        self.text = self.bytes.decode(errors="replace")

    @property
    def bytes(self) -> bytes:
        body = self.raw.get("body") or ""
        return base64.b64decode(body) if self.raw.get("isBase64Encoded") else body.encode()

    @property
    def json(self) -> dict:
        return json.loads(self.text)

    def header(self, name: str) -> str:
        return self.raw["headers"].get(name, "")

    def cookie(self, name: str) -> str:
        found = [value for value in self.raw.get("cookies") or [] if value.startswith(name + "=")]
        return found[0].split(";")[0].partition("=")[2] if found else ""

    def ids(self) -> set[str]:
        return {entry["resource"]["id"] for entry in self.json["entry"]}

    def results(self) -> set[int]:
        return {row["id"] for row in self.json["results"]}

    def hidden(self, name: str) -> str:
        return re.search(f'name="{name}" value="([^"]+)"', self.text)[1]

    def query(self, name: str) -> str:
        return parse_qs(urlsplit(self.header("location")).query)[name][0]


@dataclass
class Step:
    """One event and its answer. `holds` judges the body; `gives` takes from it what later events need."""

    event: str
    status: int
    holds: Callable[[Answer, Values], bool] = lambda answer, values: True
    gives: Callable[[Answer], Values] = lambda answer: {}


def outcome(code: str) -> Callable[[Answer, Values], bool]:
    return lambda a, v: (a.json["resourceType"], a.json["issue"][0]["code"]) == ("OperationOutcome", code)


def resource(kind: str, number: int) -> Callable[[Answer, Values], bool]:
    return lambda a, v: (a.json["resourceType"], a.json["id"]) == (kind, str(number))


def found(*numbers: int) -> Callable[[Answer, Values], bool]:
    return lambda a, v: a.json["type"] == "searchset" and a.ids() == {str(number) for number in numbers}


def listed(*numbers: int) -> Callable[[Answer, Values], bool]:
    return lambda a, v: a.json["count"] == len(numbers) and a.results() == set(numbers)


def numbered(number: int) -> Callable[[Answer, Values], bool]:
    return lambda a, v: a.json["id"] == number


def systolic(answer: Answer) -> int:
    point = json.loads(base64.b64decode(answer.json["valueAttachment"]["data"]))
    return point["body"]["systolic_blood_pressure"]["value"]


def decisions(answer: Answer) -> dict[str, bool]:
    studies = answer.json["studies"] + answer.json.get("studiesPendingConsent", [])
    return {scope["code"]["codingCode"]: scope["consented"] for study in studies for scope in study.get("scopeConsents", [])}


def verifier(token: str) -> str:
    return base64.urlsafe_b64encode(token.encode()).decode().rstrip("=")


def id_token(answer: Answer, values: Values) -> dict:
    """The claims of the answer's id_token, which the published keys verify."""
    return jwt.decode(answer.json["id_token"], KeySet.import_key_set(json.loads(values["jwks"])), algorithms=["RS256"]).claims


def entries(answer: Answer) -> list[str]:
    return [entry["response"]["status"][:3] for entry in answer.json["entry"]]


PRESSURE, RATE = "omh:blood-pressure:4.0", "omh:heart-rate:2.0"
DENIED = "You do not have permission to perform this action."

# FHIR, discovery and health: these go through cargo-lambda.
FHIR = [
    Step("api-schema", 200, lambda a, v: a.json["openapi"] == "3.1.1"),
    Step("health", 200, lambda a, v: a.json["status"] == "ok"),
    Step("tls-pins", 200, lambda a, v: len(a.json["pins"]) == 2 and a.json["change"] == "2027-03-01"),
    Step("fhir-metadata", 200, lambda a, v: a.json["fhirVersion"] == "5.0.0" and a.header("content-type") == "application/fhir+json"),
    Step("cors-preflight", 204, lambda a, v: a.header("access-control-max-age") == "600"),
    Step("oauth-discovery", 200, lambda a, v: a.json["issuer"] == "https://jhe.example/o"),
    Step("oauth-discovery-server", 200, lambda a, v: a.json["token_endpoint"] == "https://jhe.example/o/token/"),
    Step("oauth-discovery-resource", 200, lambda a, v: a.json["resource"] == "https://jhe.example"),
    Step("oauth-discovery-smart", 200, lambda a, v: "S256" in a.json["code_challenge_methods_supported"]),
    Step(
        "fhir-observation-create",
        201,
        lambda a, v: systolic(a) == 124 and a.header("location") == f"https://jhe.example/FHIR/R5/Observation/{a.json['id']}",
        lambda a: {"observation": a.json["id"]},
    ),
    Step("fhir-observation-create-invalid", 422, outcome("business-rule")),
    Step("fhir-observation-read", 200, lambda a, v: a.json["id"] == v["observation"] and systolic(a) == 124),
    Step("fhir-observation-search", 200, lambda a, v: a.ids() == {v["observation"]}),
    Step("fhir-observation-search-anonymous", 401, outcome("login")),
    Step("fhir-observation-search-outsider", 403, outcome("forbidden")),
    Step("fhir-bundle", 200, lambda a, v: entries(a) == ["201", "403"], lambda a: {"second": a.json["entry"][0]["resource"]["id"]}),
    Step("fhir-observation-search-post", 200, lambda a, v: a.ids() == {v["observation"], v["second"]}),
    Step(
        "fhir-observation-amend",
        200,
        lambda a, v: systolic(a) == 121 and a.json["status"] == "corrected" and a.header("etag") == 'W/"2"',
    ),
    Step(
        "fhir-observation-history",
        200,
        lambda a, v: [one["resource"]["status"] for one in a.json["entry"]] == ["corrected", "final"] and a.json["type"] == "history",
    ),
    Step("fhir-observation-history-version", 200, lambda a, v: a.json["id"] == v["observation"] and systolic(a) == 124),
    Step("fhir-patient-search", 200, found(40001)),
    Step("fhir-patient-search-post", 200, found(40001)),
    Step("fhir-patient-search-lower", 200, found(40001)),
    Step("fhir-patient-read", 200, resource("Patient", 40001)),
    Step("fhir-consent-read", 200, lambda a, v: a.json["resourceType"] == "Consent" and a.json["decision"] == "permit"),
    Step("fhir-group-search", 200, found(30001, 30002)),
    Step("fhir-group-read", 200, resource("Group", 30001)),
    Step("fhir-device-search", 200, found(*range(70001, 70007))),
    Step("fhir-device-read", 200, resource("Device", 70001)),
    Step("fhir-organization-search", 200, found(20003)),
    Step("fhir-organization-read", 200, resource("Organization", 20003)),
    Step("fhir-practitioner-search", 200, found(80002, 80003, 80004, 80005)),
    Step("fhir-practitioner-read", 200, resource("Practitioner", 80004)),
    Step("fhir-sources", 201, lambda a, v: a.json["patient"] == 40001, lambda a: {"fhir_source": str(a.json["id"])}),
    Step(
        "fhir-auxiliary-write",
        201,
        lambda a, v: a.json["meta"]["source"].endswith("/fhir-source/" + v["fhir_source"]),
        lambda a: {"auxiliary": a.json["id"]},
    ),
    Step("fhir-auxiliary-read", 200, lambda a, v: a.json["id"] == v["auxiliary"]),
    Step("fhir-auxiliary-search", 200, lambda a, v: a.ids() == {v["auxiliary"]}),
    Step("fhir-patient-everything", 200, lambda a, v: {"40001", v["observation"], v["second"], v["auxiliary"]} < a.ids()),
    Step("fhir-group-export", 202, lambda a, v: "/FHIR/R5/Group/30001/$export/" in a.header("content-location"), lambda a: {"export": a.header("content-location").rsplit("/", 1)[1]}),
    Step("fhir-export-status", 202, lambda a, v: a.header("x-progress").endswith(" patients")),
    Step(
        "fhir-audit-event-search",
        200,
        lambda a, v: len(a.json["entry"]) == 5 and a.json["entry"][0]["resource"]["entity"][0]["what"]["reference"] == "Patient/40001",
        lambda a: {"event": a.json["entry"][0]["resource"]["id"]},
    ),
    Step("fhir-audit-event-read", 200, lambda a, v: a.json["resourceType"] == "AuditEvent" and a.json["id"] == v["event"]),
    Step("fhir-import", 200, lambda a, v: [entry["response"]["status"] for entry in a.json["entry"]] == ["201 Created"]),
]

# The rest: these go through a runtime API of our own, with every secret from Secrets Manager.
REST = [
    Step("oauth-jwks", 200, lambda a, v: a.json["keys"][0]["n"] == v["modulus"], lambda a: {"jwks": a.text}),
    Step("patients-erasure", 200, lambda a, v: len(a.json["confirmation"]) == 64 and len(a.json["kept"]) > 2),
    Step("users-profile", 200, lambda a, v: a.json["email"] == "viewer_victor@example.com"),
    Step("organizations-list", 200, listed(20003)),
    Step("organizations-list-own", 200, lambda a, v: [row["id"] for row in a.json] == [20006, 20005, 20004, 20007]),
    Step("organizations-read", 200, numbered(20003)),
    Step("organizations-read-tree", 200, lambda a, v: a.json["children"][0]["children"][0]["id"] == 20006),
    Step("organizations-read-studies", 200, lambda a, v: {row["id"] for row in a.json} == {30001, 30002}),
    Step("organizations-read-types", 200, lambda a, v: a.json["team"] == "Organizational team"),
    Step(
        "organizations-change",
        201,
        lambda a, v: a.json["currentUserRole"] == "manager",
        lambda a: {"organization": str(a.json["id"])},
    ),
    Step("organizations-change-patch", 200, lambda a, v: a.json["name"] == "Ward 8"),
    Step("organizations-users", 200, lambda a, v: [row["id"] for row in a.json] == [10002, 10003, 10004, 10005]),
    Step("organizations-audit-events", 200, lambda a, v: {row["action"] for row in a.json["results"]} == {"search"}),
    Step(
        "organizations-audit-events-csv",
        200,
        lambda a, v: len(a.text.splitlines()) == 6 and a.text.startswith('"id","occurredAt",') and 'rel="next"' in a.header("link"),
    ),
    Step("audit-events", 200, lambda a, v: {row["outcome"] for row in a.json["results"]} == {"denied"}),
    Step("organizations-users-post", 201, lambda a, v: a.json["role"] == "viewer"),
    Step("organizations-users-delete", 204, lambda a, v: a.text == ""),
    Step("organizations-change-delete", 204, lambda a, v: a.text == ""),
    Step("users-read", 200, listed(10005, 10008)),
    Step("users-read-one", 200, numbered(10004)),
    Step("users-read-email", 200, numbered(10003)),
    Step("users-change", 403, lambda a, v: a.json == {"detail": DENIED}),
    Step("users-change-patch", 200, lambda a, v: a.json["lastName"] == "Rosales"),
    Step("legal-holds", 200, listed()),
    Step("retention-notices", 200, listed()),
    Step("retention-policies", 200, lambda a, v: (a.json["byAge"], a.json["minimumDays"]) == (None, 365)),
    Step("security-findings", 403, lambda a, v: a.json == {"detail": DENIED}),
    Step("jhe-settings", 403, lambda a, v: a.json == {"detail": DENIED}),
    Step("studies-list", 200, listed(30001, 30002)),
    Step("studies-read", 200, numbered(30001)),
    Step("studies-manage", 201, lambda a, v: (a.json["organization"], a.json["status"]) == (20007, "draft")),
    Step("studies-manage-member", 403, lambda a, v: a.json == {"detail": DENIED}),
    Step("studies-needs", 200, lambda a, v: [row["scopeCode"]["id"] for row in a.json] == [50002, 50004, 50011]),
    Step("studies-needs-add", 201, lambda a, v: a.json["scopeCode"]["codingCode"] == "omh:heart-rate:2.0"),
    Step("studies-patients-list", 200, listed(40001, 40002)),
    Step("data-sources-list", 200, listed(*range(70001, 70007))),
    Step("data-sources-read", 200, numbered(70001)),
    Step("data-sources-manage", 403, lambda a, v: a.json == {"detail": DENIED}),
    Step("data-sources-scopes", 200, lambda a, v: [row["scopeCode"]["id"] for row in a.json] == [50002, 50004]),
    Step("clients-data-sources", 200, lambda a, v: [source["id"] for source in a.json] == [70001, 70005]),
    Step("data-sources-all-scopes", 200, lambda a, v: {scope["id"] for scope in a.json} == set(range(50001, 50017))),
    Step("data-sources-all-scopes-add", 403, lambda a, v: a.json == {"detail": DENIED}),
    Step("patient-access-brands", 200, lambda a, v: a.json == {"results": []}),
    Step("clients-list", 200, listed(1, 2, 3)),
    Step("clients-read", 200, lambda a, v: a.json["name"] == "CareX" and "redirectUris" not in a.json),
    Step("clients-register", 403, lambda a, v: a.json == {"detail": DENIED}),
    Step("users-sessions-end", 403, lambda a, v: a.json == {"detail": DENIED}),
    Step("users-factor-remove", 403, lambda a, v: a.json == {"detail": DENIED}),
    Step(
        "practitioner-clients-manage",
        201,
        lambda a, v: a.json["label"] == "notebook",
        lambda a: {"client_key": a.json["key"], "client": str(a.json["id"])},
    ),
    Step("practitioner-clients-list", 200, lambda a, v: [row["key"] for row in a.json["results"]] == [None]),
    Step("oauth-token-client", 200, lambda a, v: "refresh_token" not in a.json, lambda a: {"client_token": a.json["access_token"]}),
    Step("oauth-par", 201, lambda a, v: a.json["request_uri"].startswith("urn:ietf:params:oauth:request_uri:") and a.json["expires_in"] == 90),
    Step("oauth-introspect", 200, lambda a, v: a.json["active"] and a.json["sub"] == "10004"),
    Step("oauth-token-exchange", 400, lambda a, v: a.json["error"] == "unauthorized_client"),
    Step("oauth-revoke", 200, lambda a, v: a.text == ""),
    Step("oauth-introspect-revoked", 200, lambda a, v: a.json == {"active": False}),
    Step("practitioner-clients-manage-delete", 204, lambda a, v: a.text == ""),
    Step("patients-list", 200, listed(40001, 40002)),
    Step("patients-read", 200, numbered(40001)),
    Step("patients-me", 200, numbered(40001)),
    Step("patients-global-lookup", 200, lambda a, v: a.json[0]["id"] == 40003 and a.json[0]["nameFamily"] is None),
    Step("patients-create", 201, lambda a, v: a.json["nameGiven"] == "Nora", lambda a: {"patient": str(a.json["id"])}),
    Step("patients-change", 200, lambda a, v: a.json["telecomPhone"] == "+1-157-915-3890" and a.header("etag") != ""),
    Step("patients-apps", 200, lambda a, v: a.json[0]["clientId"] != "" and "patientInvitations" in a.json[0]),
    Step("patients-organizations", 202, lambda a, v: a.json["status"] == "pending"),
    Step("patients-import", 200, lambda a, v: [row["status"] for row in a.json["results"]] == ["created"]),
    Step("observations", 200, lambda a, v: {row["subjectPatientId"] for row in a.json["results"]} == {40001}),
    Step("patients-create-viewer", 403, lambda a, v: a.json == {"detail": DENIED}),
    Step("studies-patients-enrol", 201, lambda a, v: str(a.json["studyPatients"][0]["patient"]["id"]) == v["patient"]),
    Step(
        "invitation-create",
        201,
        lambda a, v: str(a.json["patientId"]) == v["patient"],
        lambda a: {"invitation_id": str(a.json["id"])},
    ),
    Step(
        "invitation-create-reissue",
        201,
        lambda a, v: a.json["token"] is not None and str(a.json["id"]) != v["invitation_id"],
        lambda a: {
            "invitation_id": str(a.json["id"]),
            "invitation": a.json["token"],
            "invitation_verifier": verifier(a.json["token"]),
        },
    ),
    Step("invitation-list", 200, lambda a, v: [row["status"] for row in a.json["results"]] == ["issued", "reissued"]),
    Step("invitation-read", 200, lambda a, v: a.json["token"] is None and str(a.json["id"]) == v["invitation_id"]),
    Step(
        "invitation-redeem",
        200,
        lambda a, v: a.json["token_endpoint"] == "https://jhe.example/o/token/",
        lambda a: {"invitation_code": a.json["grant"]["code"]},
    ),
    Step("oauth-token", 200, lambda a, v: a.json["token_type"] == "Bearer", lambda a: {"app_refresh": a.json["refresh_token"]}),
    Step("invitation-cancel", 204, lambda a, v: a.text == ""),
    Step(
        "oauth-token-refresh",
        200,
        lambda a, v: a.json["refresh_token"] != v["app_refresh"],
        lambda a: {"app": a.json["access_token"]},
    ),
    Step("consents-decide", 201, lambda a, v: [row["decision"] for row in a.json["studyScopeConsents"]] == ["granted", "refused"]),
    Step("consents-decide-patch", 200, lambda a, v: a.json["studyScopeConsents"][0]["decision"] == "granted"),
    Step("consents-read", 200, lambda a, v: decisions(a) == {PRESSURE: True, RATE: True}),
    Step("consents-decide-delete", 204, lambda a, v: a.text == ""),
    Step("consents-history", 200, lambda a, v: a.json["count"] == 4),
    Step("oauth-token-used", 400, lambda a, v: a.json["error"] == "invalid_grant"),
    Step("patients-package", 200, lambda a, v: {"index.html", "fhir/1-bundle.json", "who-looked.csv"} < set(ZipFile(BytesIO(a.bytes)).namelist())),
    Step(
        "access-log",
        200,
        lambda a, v: [
            sorted(row["observationIds"], key=int)
            for row in a.json["results"]
            if row["actor"] and row["actor"]["id"] == 10004 and row["resourceType"] == "Observation"
        ]
        == [
            # Newest first: the first version, all versions, the two searches, and the read.
            [v["observation"]],
            [v["observation"]],
            [v["observation"], v["second"]],
            [v["observation"]],
            [v["observation"]],
        ],
    ),
    Step("studies-patients-enrol-delete", 204, lambda a, v: a.text == ""),
    Step("patients-change-delete", 204, lambda a, v: a.text == ""),
    Step("saml2-metadata", 200, lambda a, v: 'entityID="https://jhe.example/saml2/metadata/"' in a.text),
    Step("saml2-login", 200, lambda a, v: "Sign in with your organization" in a.text),
    Step("saml2-acs", 403, lambda a, v: "could not be used" in a.text),
    Step("saml2-ls", 403, lambda a, v: "could not be used" in a.text),
    Step("saml2-ls-post", 403, lambda a, v: "could not be used" in a.text),
    Step("saml2-logout", 302, lambda a, v: a.header("location") == "/accounts/login/"),
    Step("saml2-logout-post", 302, lambda a, v: a.header("location") == "/accounts/login/"),
    Step(
        "accounts-login",
        200,
        lambda a, v: "Sign in" in a.text,
        lambda a: {"browser": a.cookie("csrftoken"), "login_form": a.hidden("csrfmiddlewaretoken")},
    ),
    Step("accounts-login-wrong", 200, lambda a, v: not a.cookie("__Host-jhe_session")),
    Step(
        "accounts-login-post",
        302,
        lambda a, v: a.header("location") == "/",
        lambda a: {"session": a.cookie("__Host-jhe_session")},
    ),
    Step("landing-page", 200, lambda a, v: "/accounts/login/" in a.text and a.header("content-type").startswith("text/html")),
    Step("oauth-authorize-anonymous", 302, lambda a, v: a.header("location").startswith("/accounts/login/?next=")),
    Step("oauth-authorize", 302, lambda a, v: a.query("state") == "af0ifjsldkj" and a.query("iss") == "https://jhe.example/o"),
    Step("oauth-authorize-post", 302, lambda a, v: a.query("state") == "af0ifjsldkj", lambda a: {"code": a.query("code")}),
    Step(
        "oauth-token-browser",
        200,
        lambda a, v: (id_token(a, v)["sub"], id_token(a, v)["nonce"]) == ("10004", "n-0S6_WzA2Mj"),
        lambda a: {"browser_token": a.json["access_token"]},
    ),
    Step("oauth-userinfo", 200, lambda a, v: a.json == {"sub": "10004", "email": "viewer_victor@example.com", "email_verified": False}),
    Step("oauth-userinfo-post", 200, lambda a, v: a.json["sub"] == "10004"),
    Step("oauth-logout", 200, lambda a, v: "Sign out" in a.text and "/o/logout/" in a.text),
    Step("accounts-sessions", 200, lambda a, v: "This browser" in a.text),
    Step("accounts-password", 200, lambda a, v: "Current password" in a.text),
    Step("accounts-factor", 302, lambda a, v: a.header("location").startswith("/accounts/login/?next=")),
    Step("accounts-factor-enrol", 200, lambda a, v: "otpauth://totp/" in a.text),
    Step("accounts-factor-manage", 200, lambda a, v: "by the password alone" in a.text),
    Step("accounts-passkey", 302, lambda a, v: a.header("location").startswith("/accounts/login/?next=")),
    Step("accounts-passkey-enrol", 200, lambda a, v: "<h1>Add a passkey</h1>" in a.text),
    Step("accounts-passkey-script", 200, lambda a, v: "navigator.credentials" in a.text),
    Step("accounts-email-code", 200, lambda a, v: "Send me a code" in a.text),
    Step("accounts-reset", 200, lambda a, v: "Forgot your password" in a.text),
    Step("accounts-reset-confirm", 410, lambda a, v: "does not work any more" in a.text),
    Step("accounts-sign-up", 200, lambda a, v: "Invitation code" in a.text),
    Step("accounts-verify", 410, lambda a, v: "does not work any more" in a.text),
    Step("accounts-logout", 200, lambda a, v: "Sign out" in a.text, lambda a: {"logout_form": a.hidden("csrfmiddlewaretoken")}),
    Step("accounts-logout-post", 302, lambda a, v: a.header("location") == "/accounts/login/"),
    # The session has ended: the same request now leads to the sign-in page.
    Step("oauth-authorize", 302, lambda a, v: a.header("location").startswith("/accounts/login/?next=")),
]
