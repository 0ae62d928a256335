"""What holds for every function on AWS, under the Lambda runtime: that a request came by way of CloudFront, whose address it came
from, and that keys are replaced while functions run."""

import json
from collections.abc import Callable
from pathlib import Path

from database import psql
from lambda_deploy import ROTATE, rotate
from lambda_world import World
from runtime_api import FunctionProcess

Load = Callable[[str], dict]
Check = Callable[..., None]
VERIFY = "x-origin-verify"


def sent(given: dict, headers: dict[str, str]) -> dict:
    return {**given, "headers": {**given["headers"], **headers}}


def origin(binaries: Path, world: World, load: Load, check: Check) -> None:
    """Where the secret has an `origin_key`, only requests that say it are served."""
    secret = world.copy_of_secret("jhe/with-origin", {"origin_key": "the-new-one", "origin_key_previous": "the-old-one"})
    environment = {**world.by_secret, "ORIGIN_SECRET_ARN": secret}
    for name, other, wall in (("fhir-device-search", "issue", 200), ("oauth-discovery", "error", 200), ("cors-preflight", None, 204)):
        given = load(name)
        with FunctionProcess(binaries / name, environment) as process:
            for said, status in (("the-new-one", wall), ("the-old-one", wall), ("the-new-on", 403), ("", 403), (None, 403)):
                answer = process.invoke(sent(given, {} if said is None else {VERIFY: said}))
                shape = status != 403 or other is None or other in json.loads(answer["body"])
                check(f"{name} with {said!r} before it", answer["statusCode"] == status and shape, answer)
    # One secret can hold it with all else.
    shared = {name: value for name, value in world.by_secret.items() if name != "ORIGIN_SECRET_ARN"}
    with FunctionProcess(binaries / "oauth-discovery", {**shared, "SECRET_ARN": secret}) as process:
        answer = process.invoke(load("oauth-discovery"))
        check("an origin_key in the application's secret counts, too", answer["statusCode"] == 403, answer)
    with FunctionProcess(binaries / "oauth-discovery", world.by_secret) as process:
        answer = process.invoke(load("oauth-discovery"))
        check("without an origin_key nothing has to be said", answer["statusCode"] == 200, answer)


def address(binaries: Path, world: World, load: Load, check: Check) -> None:
    """Behind CloudFront the caller's address is what CloudFront adds, whatever the caller writes before it."""
    environment = {**world.by_secret, "ORIGIN_SECRET_ARN": world.copy_of_secret("jhe/with-address", {"origin_key": "the-key"})}
    given = load("fhir-patient-read")
    peer = given["requestContext"]["http"]["sourceIp"]
    with FunctionProcess(binaries / "fhir-patient-read", environment) as process:
        for number, (forwarded, expected) in enumerate(((f"192.0.2.1, 198.51.100.9, {peer}", "198.51.100.9"), ("", peer))):
            request = {**given["requestContext"], "requestId": f"address-{number}"}
            headers = {VERIFY: "the-key", "x-forwarded-for": forwarded}
            answer = process.invoke({**sent(given, headers), "requestContext": request})
            row = psql(world.database, "-c", f"SELECT source_address FROM audit_event WHERE request_id = 'address-{number}'")
            check(f"the caller of {forwarded!r} is {expected}", answer["statusCode"] == 200 and row == expected, f"{row} {answer}")


def devices(process: FunctionProcess, given: dict, query: str) -> tuple[int, list[str], str]:
    """The status, the ids and the query of the next page."""
    answer = process.invoke({**given, "rawQueryString": query})
    if answer["statusCode"] != 200:
        return answer["statusCode"], [], ""
    bundle = json.loads(answer["body"])
    following = [link["url"].partition("?")[2] for link in bundle["link"] if link["relation"] == "next"]
    return 200, [entry["resource"]["id"] for entry in bundle["entry"]], (following or [""])[0]


def replaced(binaries: Path, world: World, load: Load, check: Check) -> None:
    """Functions that read the secret before and after a rotation take each other's links."""
    secret = world.copy_of_secret("jhe/rotated", {})
    environment = {**world.by_secret, "SECRET_ARN": secret}
    function = binaries / "fhir-device-search"
    given = load("fhir-device-search")
    with FunctionProcess(binaries / ROTATE, environment) as rotates:
        rotate(rotates, secret)
        with FunctionProcess(function, environment) as before:
            _, first, link_before = devices(before, given, "_count=2")
            rotate(rotates, secret)
            with FunctionProcess(function, environment) as after:
                _, _, link_after = devices(after, given, "_count=2")
                check("a link is signed by another key", link_before and link_after and link_before != link_after, link_after)
                for process, link, who in ((after, link_before, "after"), (before, link_after, "before")):
                    status, second, _ = devices(process, given, link)
                    good = status == 200 and len(second) == 2 and not set(first) & set(second)
                    check(f"a function of {who} the rotation takes a link of the other", good, f"{status} {second}")
        for _ in range(2):
            rotate(rotates, secret)
        with FunctionProcess(function, environment) as late:
            status, _, _ = devices(late, given, link_before)
            check("two rotations later the link is refused", status == 400, status)


def run(binaries: Path, world: World, load: Load, check: Check) -> None:
    """`check(what, good, detail)` counts."""
    origin(binaries, world, load, check)
    address(binaries, world, load, check)
    replaced(binaries, world, load, check)
