"""An identity provider of SAML 2.0 for the tests: pysaml2 with the binary xmlsec1, and the ways to misuse what it signs."""

import base64
import datetime
import subprocess
from collections.abc import Callable
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from saml2 import BINDING_HTTP_POST, BINDING_HTTP_REDIRECT, class_name
from saml2.config import IdPConfig
from saml2.metadata import entity_descriptor
from saml2.saml import NAME_FORMAT_URI, NAMEID_FORMAT_EMAILADDRESS, NAMEID_FORMAT_UNSPECIFIED, NameID
from saml2.server import Server
from saml2.sigver import pre_signature_part, signed_instance_factory
from saml2.xmldsig import DIGEST_SHA256, SIG_RSA_SHA256

ENTITY = "https://idp.example/metadata"
SSO = "https://idp.example/sso"
SLO = "https://idp.example/slo"


def instant(seconds: int) -> str:
    """A time so many seconds from now, as SAML writes it."""
    moment = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=seconds)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def query_of(url: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}


class IdentityProvider:
    """An identity provider with a key of its own. Two with the same name differ in their keys."""

    def __init__(self, home: Path, name: str):
        self.home = home / name
        self.home.mkdir()
        self.key, self.certificate = self.home / "key.pem", self.home / "certificate.pem"
        command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=idp"]
        subprocess.run([*command, "-keyout", self.key, "-out", self.certificate], check=True, capture_output=True)

    def configuration(self, service_provider: Path | None) -> IdPConfig:
        settings = {
            "entityid": ENTITY,
            "key_file": str(self.key),
            "cert_file": str(self.certificate),
            "xmlsec_binary": "/usr/bin/xmlsec1",
            "service": {
                "idp": {
                    "endpoints": {
                        "single_sign_on_service": [(SSO, BINDING_HTTP_REDIRECT)],
                        "single_logout_service": [(SLO, BINDING_HTTP_REDIRECT)],
                    },
                    "want_authn_requests_signed": True,
                    "policy": {"default": {"lifetime": {"minutes": 5}, "name_form": NAME_FORMAT_URI}},
                    "name_id_format": [NAMEID_FORMAT_EMAILADDRESS, NAMEID_FORMAT_UNSPECIFIED],
                }
            },
        }
        if service_provider:
            settings["metadata"] = {"local": [str(service_provider)]}
        return IdPConfig().load(settings)

    def metadata(self) -> str:
        return str(entity_descriptor(self.configuration(None)))

    def know(self, service_provider: str) -> None:
        """Reads the service provider's metadata."""
        path = self.home / "service-provider.xml"
        path.write_text(service_provider)
        self.server = Server(config=self.configuration(path))

    def read_request(self, url: str) -> object:
        """The request in a redirection, its signature verified by the service provider's metadata."""
        sent = query_of(url)
        read = self.server.parse_authn_request(
            sent["SAMLRequest"], BINDING_HTTP_REDIRECT, sigalg=sent["SigAlg"], signature=sent["Signature"]
        )
        return read.message

    def response(
        self,
        request: object,
        mail: str,
        change: Callable[[object], None] = lambda response: None,
        sign: tuple[str, ...] = ("assertion",),
        algorithms: tuple[str, str] = (SIG_RSA_SHA256, DIGEST_SHA256),
    ) -> str:
        """A response for a person, changed before it is signed."""
        arguments = self.server.response_args(request)
        response = self.server.create_authn_response(
            {"mail": [mail], "givenName": ["Nora"], "sn": ["New"]},
            userid=mail,
            name_id=NameID(format=NAMEID_FORMAT_EMAILADDRESS, text=mail),
            authn={"class_ref": "urn:oasis:names:tc:SAML:2.0:ac:classes:Password", "authn_auth": ENTITY},
            sign_response=False,
            sign_assertion=False,
            **{key: value for key, value in arguments.items() if key != "name_id_policy"},
        )
        change(response)
        parts = {"assertion": response.assertion, "response": response}
        signed = []
        for number, name in enumerate(sign):
            part = parts[name]
            signing, digest = algorithms
            part.signature = pre_signature_part(part.id, None, number, digest_alg=digest, sign_alg=signing)
            signed.append((class_name(part), part.id))
        return str(signed_instance_factory(response, self.server.sec, signed) if signed else response)

    def order(self, destination: str, mail: str, session_index: str | None, relay_state: str = "state") -> str:
        """The URL of a signed request to sign somebody out."""
        _, request = self.server.create_logout_request(
            destination,
            issuer_entity_id=ENTITY,
            name_id=NameID(format=NAMEID_FORMAT_EMAILADDRESS, text=mail),
            session_indexes=[session_index] if session_index else None,
            expire=instant(300),
        )
        return self.redirect(request, destination, relay_state, response=False)

    def order_form(self, destination: str, mail: str, sign: bool) -> str:
        """The field of a form with a request to sign somebody out."""
        _, request = self.server.create_logout_request(
            destination,
            issuer_entity_id=ENTITY,
            name_id=NameID(format=NAMEID_FORMAT_EMAILADDRESS, text=mail),
            sign=sign,
            sign_alg=SIG_RSA_SHA256,
            digest_alg=DIGEST_SHA256,
        )
        return base64.b64encode(str(request).encode()).decode()

    def redirect(self, message: object, destination: str, relay_state: str, response: bool) -> str:
        sent = self.server.apply_binding(
            BINDING_HTTP_REDIRECT,
            str(message),
            destination,
            relay_state,
            response=response,
            sign=True,
            sigalg=SIG_RSA_SHA256,
        )
        return dict(sent["headers"])["Location"]

    def answer_logout(self, url: str, destination: str) -> str:
        """Reads a request to sign out, verifies its signature, and gives the URL of the signed answer."""
        sent = query_of(url)
        read = self.server.parse_logout_request(
            sent["SAMLRequest"], BINDING_HTTP_REDIRECT, sigalg=sent["SigAlg"], signature=sent["Signature"]
        )
        answer = self.server.create_logout_response(read.message, bindings=[BINDING_HTTP_REDIRECT])
        return self.redirect(answer, destination, "", response=True)

    def reads_logout_answer(self, url: str) -> bool:
        """Whether an answer to our request is right, its signature verified."""
        sent = query_of(url)
        read = self.server.parse_logout_request_response(sent["SAMLResponse"], BINDING_HTTP_REDIRECT)
        return read.status_ok() and sent["RelayState"] == "state" and "Signature" in sent
