"""The world in which the recorded requests are made again: who calls, and what they stand for here that has an id of its own."""

import base64
import json
import os
import re
import subprocess
from pathlib import Path
from urllib.parse import parse_qs, parse_qsl, quote, urlencode, urlsplit

import requests
from instance import Instance

TIMEOUT = 30
WRONG_KEY = base64.b64encode(b"nobody:nothing").decode()
FORM, JSON = "application/x-www-form-urlencoded", "application/json"
EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"

USERS = {
    "manager": "manager_mary",
    "manager of another organization": "manager_mark",
    "member": "member_megan",
    "viewer": "viewer_victor",
    "super admin": "admin",
    "patient": "ll_patient_peter",
    "another patient": "ll_patient_pamela",
    "patient of another organization": "ccl_cardio_patient_pat",
    # A patient's session, in whatever way it began.
    "pam-as-peter": "ll_patient_peter",
}


def own_query(url: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}


class Replay:
    """Makes the recorded requests, with the ids and secrets of this instance where they have those of the recorded one."""

    def __init__(self, jhe: Instance) -> None:
        self.jhe = jhe
        self.browser = requests.Session()
        self.tokens = {caller: jhe.token(user) for caller, user in USERS.items()}
        self.key = ""
        self.headers: dict[str, str] = {}
        # Peter's blood pressure, and what is at another address.
        address = urlsplit(jhe.base).netloc
        self.names = {"localhost:8000": address, "localhost%3A8000": quote(address, safe=""), "60003": "60001"}
        self.invitations: dict[int, str] = {}
        self.verifier = ""

    def call(self, method: str, path: str, caller: str, **more: object) -> requests.Response:
        headers = {"Authorization": f"Bearer {self.tokens[caller]}"}
        return requests.request(method, self.jhe.base + path, headers=headers, timeout=TIMEOUT, allow_redirects=False, **more)

    def prepare(self) -> None:
        """What the recorded requests take as given: a client that exchanges tokens, and invitations that are worth nothing."""
        registration = {
            "name": "EHR launch",
            "invitationUrl": "https://ehr.example/CODE",
            "redirectUris": [],
            "grantTypes": [EXCHANGE],
            "scopes": ["openid"],
            "tokenEndpointAuthMethod": "client_secret_post",
        }
        made = self.call("POST", "/api/v1/clients", "super admin", json=registration)
        assert made.status_code == 201, made.text
        self.names["sof-ehr-launch-dev-secret"] = made.json()["clientSecret"]
        self.names["client_id=sof-ehr-launch"] = f"client_id={made.json()['clientId']}"
        claims = {"iss": "https://ehr.example", "aud": "x", "sub": "1", "exp": 4102444800}
        parts = [{"alg": "RS256", "kid": "1"}, claims, {}]
        self.names["<id_token>"] = ".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts)
        self.invitations[409], self.invitations[403] = self.invite(), self.invite()
        latest = self.call("GET", "/api/v1/invitation", "manager").json()["results"]
        number = max(row["id"] for row in latest)
        assert self.call("DELETE", f"/api/v1/invitation/{number}", "manager").status_code == 204
        self.invitations[410] = self.invite(patient=40002)
        self.sql("UPDATE invitation SET expires_at = clock_timestamp() WHERE patient_id = 40002")

    def invite(self, patient: int = 40001) -> str:
        made = self.call("POST", "/api/v1/invitation", "manager", json={"patientId": patient, "client_id": 1, "sendEmail": False})
        assert made.status_code == 201, made.text
        return made.json()["token"]

    def sql(self, statement: str) -> None:
        home = Path(self.jhe.home.name)
        port = (home / "postgres/data/postmaster.pid").read_text().splitlines()[3]
        password = (home / "secrets/db_owner_password").read_text().strip()
        server = {"PGHOST": "localhost", "PGPORT": port, "PGDATABASE": "jhe", "PGUSER": "jhe_owner", "PGPASSWORD": password}
        trust = {"PGSSLMODE": "verify-full", "PGSSLROOTCERT": str(home / "postgres/ca.pem")}
        subprocess.run(["psql", "-qXAt", "-c", statement], env=os.environ | server | trust, check=True)

    def here(self, text: str) -> str:
        """A recorded text with the names of this instance."""
        for recorded, name in self.names.items():
            text = text.replace(recorded, name)
        return text

    def send(self, example: dict, caller: str) -> requests.Response:
        """Makes a recorded request, as a caller."""
        url = self.here(example["url"])
        status = example["status"]
        if re.fullmatch(r"/api/v1/invitation/\w{32}", url) and status in self.invitations:
            url = f"/api/v1/invitation/{self.invitations[status]}"
        headers, body = self.written(example)
        if caller == "client":
            headers["Authorization"] = f"Basic {self.key if status == 200 else WRONG_KEY}"
        elif caller in self.tokens and not url.startswith(("/o/authorize/", "/accounts/")):
            headers["Authorization"] = f"Bearer {self.tokens[caller]}"
        browser = self.browser if example["as"] == "manager_mary@example.com" or url.startswith("/accounts/") else requests
        if url == "/accounts/login/" and body:
            page = self.browser.get(f"{self.jhe.base}/accounts/login/", timeout=TIMEOUT).text
            form = dict(parse_qsl(body)) | {"csrfmiddlewaretoken": re.search('csrfmiddlewaretoken" value="([^"]+)"', page)[1]}
            body = urlencode(form)
        return browser.request(
            example["method"], self.jhe.base + url, headers=headers, data=body, timeout=TIMEOUT, allow_redirects=False
        )

    def written(self, example: dict) -> tuple[dict[str, str], str | None]:
        """The headers and the body of a recorded request. Which FHIR Source a resource came from was not recorded; what names a
        device came from none.
        """
        body = example.get("request")
        if body is None:
            return {}, None
        if isinstance(body, str):
            subject = {"/o/introspect/": "patient", "/o/revoke_token/": "another patient"}.get(example["path"])
            form = re.sub("(?<=^token=)[^&]*", self.tokens[subject], body) if subject else body
            return {"Content-Type": FORM}, self.here(form)
        headers = {"Content-Type": "application/fhir+json" if example["status"] == 415 else JSON}
        is_resource = re.match(r"/FHIR/R5/\w+|/fhir-import/", example["path"])
        if is_resource and example["status"] != 400 and "device" not in body:
            headers |= self.headers
        return headers, self.here(json.dumps(body))

    def learn(self, example: dict, answer: requests.Response) -> None:
        """Takes from an answer what later requests name."""
        what = (example["method"], example["path"], answer.status_code)
        body = answer.json() if answer.headers.get("content-type", "").startswith(JSON) and answer.content else None
        recorded = example["response"]
        if what == ("POST", "/api/v1/practitioner_clients", 201):
            self.key = body["key"]
            form = {"grant_type": "client_credentials"}
            headers = {"Authorization": f"Basic {body['key']}"}
            made = requests.post(f"{self.jhe.base}/o/token/", data=form, headers=headers, timeout=TIMEOUT)
            self.tokens["mary-cc"] = made.json()["access_token"]
        elif what == ("POST", "/api/v1/fhir_sources", 201):
            self.headers["X-JHE-FHIR-Source-ID"] = str(body["id"])
        elif what == ("POST", "/api/v1/invitation", 201):
            self.names[recorded["token"]] = body["token"]
            self.names["/invitation/101"] = f"/invitation/{body['id']}"
            self.verifier = base64.urlsafe_b64encode(body["token"].encode()).decode().rstrip("=")
        elif what[:2] == ("POST", "/api/v1/invitation/{token}") and answer.status_code == 200:
            form = body["grant"] | {"code_verifier": self.verifier}
            made = requests.post(f"{self.jhe.base}/o/token/", data=form, timeout=TIMEOUT)
            self.tokens["peter-inv"] = made.json()["access_token"]
        elif what == ("POST", "/FHIR/R5/Observation", 201) and example["status"] == 201:
            self.names[recorded["id"]] = body["id"]
        elif what == ("POST", "/api/v1/patients", 201) and example["status"] == 201:
            self.names[str(recorded["id"])] = str(body["id"])
        elif what == ("GET", "/o/authorize/", 302) and "code" in own_query(example.get("location", "")):
            self.names[own_query(example["location"])["code"]] = own_query(answer.headers["location"]).get("code", "")
