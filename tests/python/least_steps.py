"""What the steps of the Lambda test do not ask for, and calls AWS: mails, and a sign-out with an id_token."""

import base64
import json
from collections.abc import Callable
from urllib.parse import urlencode

from lambda_steps import Answer, Values
from lambda_test import load
from lambda_world import World

# Gives a function an event, and gives its answer.
Ask = Callable[[str, dict], Answer]
NEW_PASSWORD = "quiet harbour lanterns 47"


def changed(given: dict, method: str, path: str, body: str = "", **more: object) -> dict:
    """An event with another request in it."""
    given = {name: value for name, value in given.items() if name != "pathParameters"}
    http = {**given["requestContext"]["http"], "method": method, "path": path}
    encoded = base64.b64encode(body.encode()).decode()
    sent = {"rawPath": path, "requestContext": {**given["requestContext"], "http": http}, "body": encoded, "isBase64Encoded": True}
    return {**given, **sent, **more}


def filled_in(ask: Ask, page: str, values: Values, fields: dict[str, str]) -> Answer:
    """The answer to a page's form."""
    given = load(page, values)
    shown = ask(page, given)
    form = {"csrfmiddlewaretoken": shown.hidden("csrfmiddlewaretoken"), **fields}
    cookies = given.get("cookies", []) + [f"csrftoken={shown.cookie('csrftoken')}"] * bool(shown.cookie("csrftoken"))
    headers = load("accounts-login-post", {**values, "login_form": "", "browser": ""})["headers"]
    return ask(page, changed(given, "POST", given["rawPath"], urlencode(form), headers=headers, cookies=cookies))


def beside(ask: Ask, world: World, values: Values, check: Callable[..., None]) -> None:
    """Each request, when a browser is signed in. `check(what, good, detail)` counts."""
    admin = {"authorization": f"Bearer {world.token('admin@example.com')}"}
    asked = ask("oauth-logout", {**load("oauth-logout", values), "rawQueryString": "id_token_hint=a.b.c"})
    check("a sign-out with an id_token", asked.status == 200, asked.raw)
    given = load("invitation-create", values)
    invitation = json.dumps({"patientId": 40001, "client_id": 1, "sendEmail": True})
    asked = ask("invitation-create", {**given, "body": invitation})
    check("an invitation by mail", asked.status == 201, asked.raw)
    given = load("users-factor-remove", values)
    asked = ask("users-factor-remove", {**given, "headers": {**given["headers"], **admin}})
    check("a second factor that is removed", asked.status == 204, asked.raw)
    given = load("users-change", values)
    user = {"email": "new@example.com", "firstName": "New", "lastName": "Person", "userType": "practitioner"}
    headers = {**given["headers"], **admin}
    asked = ask("users-change", changed(given, "POST", "/api/v1/users", json.dumps(user), headers=headers))
    check("an account that is made", asked.status == 201, asked.raw)
    asked = filled_in(ask, "accounts-reset", values, {"email": "viewer_victor@example.com"})
    check("a link for another password", "link" in asked.text, asked.raw)
    asked = filled_in(ask, "accounts-email-code", values, {})
    check("a code by mail", 'name="code"' in asked.text, asked.raw)
    passwords = {"password": "Jhe1234!", "new_password": NEW_PASSWORD, "repeated": NEW_PASSWORD}
    asked = filled_in(ask, "accounts-password", values, passwords)
    check("another password", "is changed" in asked.text, asked.raw)
