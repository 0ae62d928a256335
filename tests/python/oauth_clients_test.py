"""Confidential clients as they are written elsewhere: authlib and requests-oauthlib, and a key for jupyterhealth-client."""

import os
import re
import sys
import time
from urllib.parse import parse_qsl, urlencode, urlsplit

import requests
from authlib.integrations.requests_client import OAuth2Session as AuthlibSession
from authlib.integrations.base_client.errors import OAuthError
from authlib.oauth2.rfc7523 import PrivateKeyJWT
from client_test import Count
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from instance import Instance
from joserfc.jwk import ECKey, RSAKey
from jupyterhealth_client import JupyterHealthClient
from oauthlib.oauth2 import BackendApplicationClient
from requests.auth import HTTPBasicAuth
from requests_oauthlib import OAuth2Session

REDIRECT_URI = "https://app.example/cb"
SCOPE = "openid email"


def discovery(jhe: Instance) -> dict:
    return requests.get(f"{jhe.base}/o/.well-known/openid-configuration", timeout=30).json()


def register(jhe: Instance, method: str, **more: object) -> dict:
    body = {
        "name": method,
        "redirectUris": [REDIRECT_URI],
        "grantTypes": ["authorization_code", "refresh_token"],
        "scopes": SCOPE.split(),
        "tokenEndpointAuthMethod": method,
        "skipAuthorization": True,
        "wholeAccess": True,
        **more,
    }
    headers = {"Authorization": f"Bearer {jhe.token('admin')}"}
    answer = requests.post(f"{jhe.base}/api/v1/clients", json=body, headers=headers, timeout=30)
    assert answer.status_code == 201, answer.text
    return answer.json()


def service(**more: object) -> dict:
    return {"redirectUris": [], "grantTypes": ["client_credentials"], "actsAs": 10004, **more}


def callback(jhe: Instance, url: str) -> str:
    """Where a browser ends up in which Victor signs in."""
    user = jhe.demo["users"]["viewer_victor"]
    browser = requests.Session()
    page = browser.get(f"{jhe.base}/accounts/login/", timeout=30).text
    token = re.search('name="csrfmiddlewaretoken" value="([^"]+)"', page)[1]
    form = {"csrfmiddlewaretoken": token, "username": user["email"], "password": user["password"], "next": "/"}
    browser.post(f"{jhe.base}/accounts/login/", data=form, allow_redirects=False, timeout=30)
    return browser.get(url, allow_redirects=False, timeout=30).headers["location"]


def accepts(jhe: Instance, token: str) -> bool:
    answer = requests.get(f"{jhe.base}/api/v1/users/profile", headers={"Authorization": f"Bearer {token}"}, timeout=30)
    return answer.status_code == 200 and answer.json()["id"] == 10004


def authlib_by_secret(count: Count, jhe: Instance, meta: dict, method: str) -> None:
    client = register(jhe, method)
    session = AuthlibSession(
        client["clientId"],
        client["clientSecret"],
        token_endpoint_auth_method=method,
        revocation_endpoint_auth_method=method,
        redirect_uri=REDIRECT_URI,
        scope=SCOPE,
        code_challenge_method="S256",
    )
    life(count, jhe, meta, f"authlib {method}", session)


def life(count: Count, jhe: Instance, meta: dict, what: str, session: AuthlibSession) -> None:
    verifier = "v" * 64
    url, _ = session.create_authorization_url(meta["authorization_endpoint"], code_verifier=verifier)
    response = callback(jhe, url)
    first = session.fetch_token(meta["token_endpoint"], authorization_response=response, code_verifier=verifier)
    count.check(f"{what}: the code flow", accepts(jhe, first["access_token"]), True)
    second = session.refresh_token(meta["token_endpoint"], first["refresh_token"])
    count.check(f"{what}: the refresh", accepts(jhe, second["access_token"]), True)
    told = session.introspect_token(meta["introspection_endpoint"], second["access_token"]).json()
    count.check(f"{what}: introspection", (told["active"], told["sub"], told["scope"]), (True, "10004", SCOPE))
    revoked = session.revoke_token(meta["revocation_endpoint"], second["refresh_token"], "refresh_token")
    count.check(f"{what}: the revocation", revoked.status_code, 200)
    count.check(f"{what}: revoked on the next request", accepts(jhe, second["access_token"]), False)
    told = session.introspect_token(meta["introspection_endpoint"], second["access_token"]).json()
    count.check(f"{what}: revoked tokens are not active", told, {"active": False})
    count.raises(f"{what}: no refresh any more", "OAuthError", lambda: session.refresh_token(meta["token_endpoint"], second["refresh_token"]))


class ShortLived(PrivateKeyJWT):
    """authlib's assertions live an hour; SMART Backend Services allows five minutes."""

    def __call__(self, auth, method, uri, headers, body):
        self.claims = {"exp": int(time.time()) + 240}
        return super().__call__(auth, method, uri, headers, body)


def keys() -> list[tuple[str, object, dict]]:
    pairs = []
    for algorithm, key, jwk in [
        ("RS384", rsa.generate_private_key(65537, 2048), RSAKey),
        ("ES384", ec.generate_private_key(ec.SECP384R1()), ECKey),
    ]:
        pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        private = jwk.import_key(pem)
        pairs.append((algorithm, private, private.as_dict(private=False) | {"kid": "k1", "use": "sig", "alg": algorithm}))
    return pairs


def authlib_by_key(count: Count, jhe: Instance, meta: dict) -> None:
    for algorithm, key, public in keys():
        client = register(jhe, "private_key_jwt", jwks={"keys": [public]})
        session = AuthlibSession(
            client["clientId"],
            key,
            token_endpoint_auth_method="private_key_jwt",
            revocation_endpoint_auth_method="private_key_jwt",
            redirect_uri=REDIRECT_URI,
            scope=SCOPE,
            code_challenge_method="S256",
        )
        session.register_client_auth_method(ShortLived(meta["token_endpoint"], headers={"kid": "k1"}, alg=algorithm))
        life(count, jhe, meta, f"authlib private_key_jwt {algorithm}", session)

        client = register(jhe, "private_key_jwt", **service(jwks={"keys": [public]}))
        backend = AuthlibSession(client["clientId"], key, token_endpoint_auth_method="private_key_jwt")
        backend.register_client_auth_method(ShortLived(meta["token_endpoint"], headers={"kid": "k1"}, alg=algorithm))
        token = backend.fetch_token(meta["token_endpoint"], grant_type="client_credentials")
        count.check(f"a backend service with {algorithm}", accepts(jhe, token["access_token"]), True)
        hour = AuthlibSession(client["clientId"], key, token_endpoint_auth_method="private_key_jwt")
        hour.register_client_auth_method(PrivateKeyJWT(meta["token_endpoint"], headers={"kid": "k1"}, alg=algorithm))
        count.raises("an assertion of an hour", OAuthError.__name__, lambda: hour.fetch_token(meta["token_endpoint"], grant_type="client_credentials"))


def requests_oauthlib(count: Count, jhe: Instance, meta: dict) -> None:
    what = "requests-oauthlib"
    client = register(jhe, "client_secret_basic")
    basic = HTTPBasicAuth(client["clientId"], client["clientSecret"])
    session = OAuth2Session(client["clientId"], redirect_uri=REDIRECT_URI, scope=SCOPE.split(), pkce="S256")
    url, _ = session.authorization_url(meta["authorization_endpoint"])
    first = session.fetch_token(meta["token_endpoint"], authorization_response=callback(jhe, url), auth=basic)
    count.check(f"{what}: the code flow", accepts(jhe, first["access_token"]), True)
    claims = session.get(meta["userinfo_endpoint"]).json()
    count.check(f"{what}: userinfo", claims, {"sub": "10004", "email": "viewer_victor@example.com", "email_verified": False})
    second = session.refresh_token(meta["token_endpoint"], first["refresh_token"], auth=basic)
    count.check(f"{what}: the refresh", accepts(jhe, second["access_token"]), True)
    told = requests.post(meta["introspection_endpoint"], data={"token": second["access_token"]}, auth=basic, timeout=30).json()
    count.check(f"{what}: introspection", (told["active"], told["client_id"]), (True, client["clientId"]))
    revoked = requests.post(meta["revocation_endpoint"], data={"token": second["refresh_token"]}, auth=basic, timeout=30)
    count.check(f"{what}: the revocation", (revoked.status_code, accepts(jhe, second["access_token"])), (200, False))
    count.raises(f"{what}: no refresh any more", "InvalidGrantError", lambda: session.refresh_token(meta["token_endpoint"], auth=basic))

    client = register(jhe, "client_secret_basic", **service())
    backend = OAuth2Session(client=BackendApplicationClient(client["clientId"], scope=SCOPE.split()))
    token = backend.fetch_token(meta["token_endpoint"], auth=HTTPBasicAuth(client["clientId"], client["clientSecret"]))
    count.check(f"{what}: a backend service", accepts(jhe, token["access_token"]), True)


def pushed(count: Count, jhe: Instance, meta: dict) -> None:
    """Neither library pushes requests itself: the form is the query that each would send."""
    what = "a pushed request"
    client = register(jhe, "client_secret_basic", requirePushedAuthorizationRequests=True)
    basic = HTTPBasicAuth(client["clientId"], client["clientSecret"])
    session = OAuth2Session(client["clientId"], redirect_uri=REDIRECT_URI, scope=SCOPE.split(), pkce="S256")
    url, _ = session.authorization_url(meta["authorization_endpoint"])
    count.check(f"{what}: nothing else counts", "error=invalid_request" in callback(jhe, url), True)
    form = dict(parse_qsl(urlsplit(url).query))
    answer = requests.post(meta["pushed_authorization_request_endpoint"], data=form, auth=basic, timeout=30)
    count.check(f"{what}: is taken", answer.status_code, 201)
    query = urlencode({"client_id": client["clientId"], "request_uri": answer.json()["request_uri"]})
    response = callback(jhe, f"{meta['authorization_endpoint']}?{query}")
    token = session.fetch_token(meta["token_endpoint"], authorization_response=response, auth=basic)
    count.check(f"{what}: the code flow", accepts(jhe, token["access_token"]), True)


def own_key(count: Count, jhe: Instance, meta: dict) -> None:
    headers = {"Authorization": f"Bearer {jhe.token('viewer_victor')}"}
    made = requests.post(f"{jhe.base}/api/v1/practitioner_clients", json={"label": "bench"}, headers=headers, timeout=30).json()
    form = {"grant_type": "client_credentials"}
    basic = {"Authorization": f"Basic {made['key']}"}
    token = requests.post(meta["token_endpoint"], data=form, headers=basic, timeout=30).json()
    victor = JupyterHealthClient(jhe.base, token=token["access_token"])
    count.check("a practitioner's own key", victor.get_user()["id"], 10004)
    observations = sorted(row["id"] for row in victor.list_observations(patient_id=40001))
    count.check("the observations that it reads", observations, ["60001", "60002"])
    count.check("the table that it reads", len(victor.list_observations_df(study_id=30001)), 5)


def main() -> int:
    # Both libraries ask for https; the instance is on this machine.
    os.environ["AUTHLIB_INSECURE_TRANSPORT"] = os.environ["OAUTHLIB_INSECURE_TRANSPORT"] = "1"
    count = Count()
    with Instance() as jhe:
        meta = discovery(jhe)
        for method in ["client_secret_basic", "client_secret_post"]:
            authlib_by_secret(count, jhe, meta, method)
        authlib_by_key(count, jhe, meta)
        requests_oauthlib(count, jhe, meta)
        pushed(count, jhe, meta)
        own_key(count, jhe, meta)
    print(f"{count.passed} passed, {count.failed} failed")
    return 1 if count.failed else 0


if __name__ == "__main__":
    sys.exit(main())
