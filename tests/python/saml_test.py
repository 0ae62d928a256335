"""Single sign-on against pysaml2: the whole way in and out, and every known attack on it.

Used inside `jhe with-database`. Ends with `N passed, N failed`.
"""

import base64
import hashlib
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import requests
from database import psql
from instance import JHE
from saml2.xmldsig import DIGEST_SHA1, DIGEST_SHA256, SIG_RSA_SHA1, SIG_RSA_SHA256
from saml_attacks import WRAPPINGS, comment, doctype, entities
from saml_idp import IdentityProvider, instant, query_of

SITE = "https://jhe.example"
MARY, ADMIN, PATIENT = "manager_mary@example.com", "admin@example.com", "ll_patient_peter@example.com"
DATABASE = "saml_test"


class Site:
    """The exchange, with the identity provider's metadata, behind a TLS that the test only claims."""

    def __init__(self, home: Path, metadata: str):
        psql("postgres", "-c", f"DROP DATABASE IF EXISTS {DATABASE} WITH (FORCE)")
        psql("postgres", "-c", f"CREATE DATABASE {DATABASE} TEMPLATE jhe_template")
        file = home / "idp.xml"
        file.write_text(metadata)
        environment = {
            **os.environ,
            "DB_NAME": DATABASE,
            "JHE_HOME": str(home),
            "PORT": "0",
            "BIND": "127.0.0.1",
            "SITE_URL": SITE,
            "SAML_METADATA_FILE": str(file),
            "SSO_VALID_DOMAINS": "example.com",
        }
        environment.setdefault("LOG_LEVEL", "off")
        self.process = subprocess.Popen([JHE, "serve"], env=environment, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout and self.process.stdout.readline().startswith("ready: ")
        self.base = f"http://127.0.0.1:{self.port()}"

    def port(self) -> int:
        """The port that the process listens on: its address only names the site."""
        inodes = set()
        for link in Path(f"/proc/{self.process.pid}/fd").iterdir():
            target = os.readlink(link)
            if target.startswith("socket:"):
                inodes.add(target[8:-1])
        for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and fields[9] in inodes:
                return int(fields[1].split(":")[1], 16)
        raise SystemExit("the site does not listen")

    def sql(self, statement: str) -> str:
        return psql(DATABASE, "-c", statement)

    def close(self) -> None:
        self.process.terminate()
        self.process.wait()
        psql("postgres", "-c", f"DROP DATABASE {DATABASE} WITH (FORCE)")


class Browser:
    """Keeps cookies by their names, as a browser does for one site by TLS."""

    def __init__(self, site: Site):
        self.site = site
        self.cookies: dict[str, str] = {}

    def send(self, method: str, path: str, **more: object) -> requests.Response:
        cookies = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        headers = {"Cookie": cookies} if cookies else {}
        answer = requests.request(method, self.site.base + path, headers=headers, allow_redirects=False, timeout=30, **more)
        for name, value in re.findall(r"(?:^|, )([A-Za-z_-]+)=([^;,]*); Path=", answer.headers.get("set-cookie", "")):
            if value:
                self.cookies[name] = value
            else:
                self.cookies.pop(name, None)
        return answer

    def form_token(self, page: str) -> str:
        return re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', self.send("GET", page).text)[1]

    def start(self, identity_provider: IdentityProvider, next_page: str = "/accounts/logout/", again: str = "") -> object:
        """Presses the button, and gives the request that the identity provider read."""
        form = {"csrfmiddlewaretoken": self.form_token("/saml2/login/"), "next": next_page, "again": again}
        answer = self.send("POST", "/saml2/login/", data=form)
        assert answer.status_code == 302, answer.text
        return identity_provider.read_request(answer.headers["location"])

    def bring(self, xml: str) -> requests.Response:
        return self.send("POST", "/saml2/acs/", data={"SAMLResponse": base64.b64encode(xml.encode()).decode()})

    def is_signed_in(self) -> bool:
        """Whether the session's token is worth something."""
        digest = hashlib.sha256(self.cookies.get("__Host-jhe_session", "").encode()).hexdigest()
        return self.site.sql(f"SELECT count(*) FROM login_session WHERE token_hash = '\\x{digest}'") == "1"


class Tests:
    """Counts, and says what fails."""

    def __init__(self, site: Site, idp: IdentityProvider, other: IdentityProvider):
        self.site, self.idp, self.other = site, idp, other
        self.passed = self.failed = 0

    def check(self, name: str, good: bool, detail: object = "") -> None:
        if good:
            self.passed += 1
        else:
            self.failed += 1
            print(f"FAILED {name}: {detail}", flush=True)

    def last_event(self) -> str:
        return self.site.sql(
            "SELECT outcome || ' ' || coalesce(detail->>'reason', '') FROM audit_event ORDER BY id DESC LIMIT 1"
        )

    def sessions(self) -> str:
        return self.site.sql("SELECT count(*) FROM login_session")

    def refused(self, name: str, reason: str, browser: Browser, xml: str) -> None:
        """The response is refused, recorded with the reason, and nobody is signed in."""
        before, events = self.sessions(), self.site.sql("SELECT count(*) FROM audit_event")
        answer = browser.bring(xml)
        after = self.site.sql("SELECT count(*) FROM audit_event")
        found = (answer.status_code, self.last_event(), self.sessions(), "__Host-jhe_session" in browser.cookies)
        self.check(name, found == (403, f"denied {reason}", before, False) and int(after) == int(events) + 1, found)

    def attack(
        self,
        name: str,
        reason: str,
        alter: Callable[[str], str] = lambda xml: xml,
        mail: str = MARY,
        by: IdentityProvider | None = None,
        **how: object,
    ) -> None:
        """A response to a real request of this browser, misused."""
        browser = Browser(self.site)
        request = browser.start(self.idp)
        xml = (by or self.idp).response(request, mail, **how)
        altered = alter(xml)
        self.check(f"{name}: is an attack", altered != xml or bool(how) or by is not None or mail != MARY)
        self.refused(name, reason, browser, altered)


def whole_way(tests: Tests) -> None:
    """In, and out from either side."""
    site, idp = tests.site, tests.idp
    browser = Browser(site)
    tests.check("the sign-in page offers it", 'action="/saml2/login/"' in browser.send("GET", "/accounts/login/").text)
    for sign in (("assertion",), ("assertion", "response")):
        browser = Browser(site)
        answer = browser.bring(idp.response(browser.start(idp), MARY, sign=sign))
        tests.check(f"signed {sign}: in", answer.status_code == 302 and browser.is_signed_in(), answer.text)
        tests.check("to where one wanted", answer.headers.get("location") == "/accounts/logout/")
        who = site.sql("SELECT actor_user_id || ' ' || actor_type || ' ' || outcome FROM audit_event ORDER BY id DESC LIMIT 1")
        mary = site.sql(f"SELECT id FROM app_user WHERE email = '{MARY}'")
        tests.check("recorded as the person's own", who == f"{mary} practitioner allowed", who)
        tests.check("the waiting request is gone", "__Host-jhe_saml_login" not in browser.cookies)

    out = Browser(site)
    out.bring(idp.response(out.start(idp), MARY))
    page = out.send("GET", "/saml2/logout/")
    token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page.text)[1]
    tests.check("no form, no sign-out", out.send("POST", "/saml2/logout/", data={}).status_code == 403 and out.is_signed_in())
    answer = out.send("POST", "/saml2/logout/", data={"csrfmiddlewaretoken": token})
    tests.check("signed out here at once", answer.status_code == 302 and not out.is_signed_in(), answer.text)
    back = idp.answer_logout(answer.headers["location"], f"{SITE}/saml2/ls/")
    stranger = Browser(site).send("GET", "/saml2/ls/?" + back.partition("?")[2])
    tests.check("another browser cannot bring the answer", stranger.status_code == 403 and tests.last_event() == "denied unsolicited")
    done = out.send("GET", "/saml2/ls/?" + back.partition("?")[2])
    tests.check("and there", done.status_code == 200 and "at your organization" in done.text, done.text)


def ordered_out(tests: Tests) -> None:
    """The identity provider ends sessions."""
    site, idp, here = tests.site, tests.idp, f"{SITE}/saml2/ls/"
    browser, other = Browser(site), Browser(site)
    for one in (browser, other):
        one.bring(idp.response(one.start(idp), MARY))
    index = site.sql("SELECT session_index FROM linked_session ORDER BY ctid DESC LIMIT 1")
    before = tests.sessions()
    stranger = idp.order(here, "somebody@example.com", None)
    site_answer = Browser(site).send("GET", "/saml2/ls/?" + stranger.partition("?")[2])
    tests.check("an order for somebody else ends nothing", site_answer.status_code == 302 and tests.sessions() == before, (site_answer.status_code, tests.sessions(), before, tests.last_event()))
    url = idp.order(here, MARY, index)
    forged = url.replace("RelayState=state", "RelayState=other")
    answer = Browser(site).send("GET", "/saml2/ls/?" + forged.partition("?")[2])
    tests.check("an order that was changed", answer.status_code == 403 and tests.last_event() == "denied signature", answer.text)
    unsigned = url.partition("&SigAlg")[0]
    answer = Browser(site).send("GET", "/saml2/ls/?" + unsigned.partition("?")[2])
    tests.check("an order without a signature", answer.status_code == 403 and tests.last_event() == "denied unsigned", answer.text)
    answer = Browser(site).send("GET", "/saml2/ls/?" + tests.other.order(here, MARY, index).partition("?")[2])
    tests.check("an order by another key", answer.status_code == 403 and tests.last_event() == "denied signature", answer.text)
    tests.check("nothing has ended", browser.is_signed_in() and other.is_signed_in())
    answer = Browser(site).send("GET", "/saml2/ls/?" + url.partition("?")[2])
    tests.check("the order is obeyed and answered", answer.status_code == 302 and idp.reads_logout_answer(answer.headers["location"]), answer.text)
    tests.check("the one session has ended, the other lasts", browser.is_signed_in() != other.is_signed_in(), (browser.is_signed_in(), other.is_signed_in(), index))
    tests.check("and that is recorded", site.sql("SELECT outcome || action FROM audit_event ORDER BY id DESC LIMIT 1") == "alloweddelete")
    answer = Browser(site).send("GET", "/saml2/ls/?" + url.partition("?")[2])
    tests.check("an order counts once", answer.status_code == 403 and tests.last_event() == "denied replayed", answer.text)
    post = f"{SITE}/saml2/ls/post/"
    answer = Browser(site).send("POST", "/saml2/ls/post/", data={"SAMLRequest": idp.order_form(post, MARY, sign=False)})
    tests.check("a form without a signature", answer.status_code == 403 and tests.last_event() == "denied unsigned", answer.text)
    answer = Browser(site).send("POST", "/saml2/ls/post/", data={"SAMLRequest": idp.order_form(post, MARY, sign=True)})
    tests.check("a signed form ends all sessions", answer.status_code == 302 and not (browser.is_signed_in() or other.is_signed_in()), (answer.status_code, tests.last_event()))


def accounts(tests: Tests) -> None:
    """Who gets a session, and who none."""
    site, idp = tests.site, tests.idp
    browser = Browser(site)
    answer = browser.bring(idp.response(browser.start(idp), "Nora.New@example.com"))
    made = site.sql(
        "SELECT u.email || ' ' || u.first_name || ' ' || u.user_type || ' ' || u.is_superuser || ' ' || (u.password_hash IS NULL) || ' ' ||"
        " (SELECT count(*) FROM organization_member m WHERE m.practitioner_id = p.id)"
        " FROM app_user u JOIN practitioner p ON p.user_id = u.id WHERE lower(u.email) = 'nora.new@example.com'"
    )
    tests.check("a new practitioner of no organization", made == "nora.new@example.com Nora practitioner false true 0", made)
    tests.check("who is signed in", answer.status_code == 302 and browser.is_signed_in())
    created = site.sql("SELECT count(*) FROM audit_event WHERE action = 'create' AND resource_type = 'Practitioner' AND outcome = 'allowed'")
    tests.check("recorded", created == "1", created)

    def turned(response: object) -> None:
        for attribute in response.assertion.attribute_statement[0].attribute:
            for value in attribute.attribute_value:
                value.text = value.text.replace("Nora", "\u202earoN")

    browser = Browser(site)
    browser.bring(idp.response(browser.start(idp), "turned@example.com", turned))
    names = site.sql("SELECT first_name || '|' || last_name FROM app_user WHERE email = 'turned@example.com'")
    tests.check("a name that people cannot read as it is, is left out", names == "|New", names)
    site.sql("UPDATE organization SET requires_second_factor = true")
    browser = Browser(site)
    answer = browser.bring(idp.response(browser.start(idp), MARY))
    second = answer.headers.get("location", "")
    tests.check("an organization's second factor is asked for", second.startswith("/accounts/second-factor/") and not browser.is_signed_in(), second)
    site.sql("UPDATE organization SET requires_second_factor = false")
    site.sql("UPDATE app_user SET is_active = false WHERE email = 'viewer_victor@example.com'")
    for name, mail, reason in (
        ("a super admin", ADMIN, "second_factor"),
        ("a patient", PATIENT, "no_practitioner"),
        ("a closed account", "viewer_victor@example.com", "closed_account"),
        ("an address of another domain", "mary@evil.example", "domain"),
        ("an address of a subdomain", "mary@sub.example.com", "domain"),
        ("an address with two domains", "mary@evil.example@example.com", "email"),
    ):
        tests.attack(name, reason, mail=mail)


def strength(tests: Tests) -> None:
    """When somebody signed in there, a new sign-in, and a second step here."""
    site, idp = tests.site, tests.idp

    def hour_old(response: object) -> None:
        response.assertion.authn_statement[0].authn_instant = instant(-3600)

    def hour_long(response: object) -> None:
        response.assertion.authn_statement[0].session_not_on_or_after = instant(3600)

    browser = Browser(site)
    tests.check("any sign-in does", browser.start(idp).force_authn is None)
    answer = browser.bring(idp.response(browser.start(idp), MARY, change=hour_old))
    tests.check("a session is as old as the sign-in there", answer.status_code == 302, answer.text)
    old = site.sql("SELECT count(*) FROM login_session WHERE started_at < now() - interval '59 minutes'")
    tests.check("by its time", old == "1", old)
    again = browser.send("GET", "/accounts/password/").headers["location"]
    tests.check("so it changes no password", again.endswith("&again=1"), again)

    browser = Browser(site)
    request = browser.start(idp, again="1")
    tests.check("a new sign-in is asked for", request.force_authn == "true", request.force_authn)
    tests.refused("an old sign-in is no new one", "too_old", browser, idp.response(request, MARY, change=hour_old))
    browser = Browser(site)
    answer = browser.bring(idp.response(browser.start(idp, again="1"), MARY))
    tests.check("a new one is", answer.status_code == 302 and browser.is_signed_in(), answer.text)

    code = "ABCDEFGHIJKLMNOPQRSTUVWX"
    mary = site.sql(f"SELECT id FROM app_user WHERE email = '{MARY}'")
    site.sql(f"INSERT INTO totp_factor (user_id, secret, last_step) VALUES ({mary}, '', 0)")
    site.sql(f"INSERT INTO recovery_code (user_id, code_hash) VALUES ({mary}, sha256(E'recovery-code\\n{code}'))")
    browser = Browser(site)
    browser.bring(idp.response(browser.start(idp), MARY, change=hour_long))
    tests.check("no session before the second step", not browser.is_signed_in())
    page = "/accounts/second-factor/"
    form = {"csrfmiddlewaretoken": browser.form_token(page), "next": "/", "code": code}
    answer = browser.send("POST", page, data=form)
    tests.check("the second step leads in", answer.status_code == 302 and browser.is_signed_in(), answer.text)
    last = "SELECT array_to_string(methods, ' ') || (expires_at < now() + interval '61 minutes') FROM login_session ORDER BY last_used_at DESC LIMIT 1"
    tests.check("with what was done here, until the end there", site.sql(last) == "otp mfatrue", site.sql(last))
    url = idp.order(f"{SITE}/saml2/ls/", MARY, None)
    answer = Browser(site).send("GET", "/saml2/ls/?" + url.partition("?")[2])
    tests.check("and the identity provider ends it", answer.status_code == 302 and not browser.is_signed_in(), answer.text)
    site.sql("DELETE FROM totp_factor; DELETE FROM recovery_code")


def data(response: object) -> object:
    return response.assertion.subject.subject_confirmation[0].subject_confirmation_data


def changes(tests: Tests) -> None:
    """What the identity provider signed, but not for this."""

    def audience(response: object) -> None:
        response.assertion.conditions.audience_restriction[0].audience[0].text = "https://other.example/"

    def recipient(response: object) -> None:
        data(response).recipient = "https://other.example/saml2/acs/"

    def destination(response: object) -> None:
        response.destination = "https://other.example/saml2/acs/"

    def expired(response: object) -> None:
        data(response).not_on_or_after = response.assertion.conditions.not_on_or_after = instant(-120)

    def not_yet(response: object) -> None:
        response.assertion.conditions.not_before = instant(120)

    def issuer(response: object) -> None:
        response.assertion.issuer.text = "https://other.example/"

    def another_request(response: object) -> None:
        response.in_response_to = data(response).in_response_to = "_another"

    def no_request(response: object) -> None:
        response.in_response_to = data(response).in_response_to = None

    def failed(response: object) -> None:
        response.status.status_code.value = "urn:oasis:names:tc:SAML:2.0:status:Responder"

    for change, reason in (
        (audience, "audience"),
        (recipient, "recipient"),
        (destination, "destination"),
        (expired, "expired"),
        (not_yet, "not_yet_valid"),
        (issuer, "issuer"),
        (another_request, "unsolicited"),
        (no_request, "unsolicited"),
        (failed, "not_successful"),
    ):
        tests.attack(f"wrong {change.__name__}", reason, change=change)


def attacks(tests: Tests) -> None:
    """What was done to the response on its way."""
    site, idp = tests.site, tests.idp
    tests.attack("no signature", "unsigned", sign=())
    tests.attack("only the response signed", "unsigned", sign=("response",))
    tests.attack("signed by another key", "signature", by=tests.other)
    tests.attack("signed with SHA-1", "algorithm", algorithms=(SIG_RSA_SHA1, DIGEST_SHA256))
    tests.attack("a digest of SHA-1", "algorithm", algorithms=(SIG_RSA_SHA256, DIGEST_SHA1))
    tests.attack("another name in it", "signature", lambda xml: xml.replace(MARY, ADMIN))
    tests.attack("a document type", "doctype", doctype)
    tests.attack("expanding entities", "doctype", entities)
    tests.attack("a comment in a name", "comment", comment, mail=f"{MARY}.evil.example")
    for name, wrap, sign, reason in WRAPPINGS:
        tests.attack(name, reason, wrap, sign=sign)

    browser = Browser(site)
    xml = idp.response(browser.start(idp), MARY)
    waiting = dict(browser.cookies)
    tests.check("once it is good", browser.bring(xml).status_code == 302)
    browser.cookies = waiting
    tests.refused("twice it is a replay", "replayed", browser, xml)

    ours, theirs = Browser(site), Browser(site)
    xml = idp.response(ours.start(idp), MARY)
    theirs.start(idp)
    tests.refused("the response to another browser's request", "unsolicited", theirs, xml)
    tests.refused("a response that no browser asked for", "unsolicited", Browser(site), xml)
    tests.check("which its own browser can use", ours.bring(xml).status_code == 302)
    tampered = Browser(site)
    xml = idp.response(tampered.start(idp), MARY)
    name = "__Host-jhe_saml_login"
    tampered.cookies[name] = "A" + tampered.cookies[name]
    tests.refused("a waiting request that was forged", "unsolicited", tampered, xml)


def main() -> int:
    with tempfile.TemporaryDirectory() as directory:
        home = Path(directory)
        idp, other = IdentityProvider(home, "idp"), IdentityProvider(home, "other")
        site = Site(home, idp.metadata())
        try:
            answer = requests.get(f"{site.base}/saml2/metadata/", timeout=30)
            for one in (idp, other):
                one.know(answer.text)
            tests = Tests(site, idp, other)
            tests.check("metadata has its type", answer.headers["content-type"] == "application/samlmetadata+xml")
            browser = Browser(site)
            form = {"csrfmiddlewaretoken": browser.form_token("/saml2/login/"), "next": "https://evil.example/"}
            away = browser.send("POST", "/saml2/login/", data=form).headers["location"]
            tests.check("a request is signed with SHA-256", query_of(away)["SigAlg"] == SIG_RSA_SHA256)
            for part in (whole_way, ordered_out, accounts, strength, changes, attacks):
                part(tests)
        finally:
            site.close()
    print(f"{tests.passed} passed, {tests.failed} failed")
    return 1 if tests.failed else 0


if __name__ == "__main__":
    sys.exit(main())
