"""The function by which an operator contains an incident, under the Lambda runtime, as the database's owner."""

import json
import os
from collections.abc import Callable

from instance import ROOT
from lambda_world import World
from runtime_api import FunctionProcess

FUNCTION = "contain"


def environment(given: dict[str, str]) -> dict[str, str]:
    """What leads it to the database."""
    return {**given, **{name: os.environ[name] for name in ("DB_OWNER_USER", "DB_OWNER_PASSWORD")}}


def run(process: FunctionProcess, world: World, check: Callable[..., None]) -> None:
    """A user is contained and released. `check(what, good, detail)` counts."""
    asked = json.loads((ROOT / "events" / f"{FUNCTION}.json").read_text())
    world.token(asked["user"])
    done = process.invoke(asked)
    check("a user is contained", done["changed"] == 1 and done["ended"]["accessTokens"] > 0, done)
    again = process.invoke(asked)
    check("again there is nothing left to end", again["changed"] == 0 and not any(again["ended"].values()), again)
    released = process.invoke({**asked, "release": True})
    check("the user is released", released["measure"] == "release" and released["changed"] == 1, released)
    try:
        refused = process.invoke({})
    except RuntimeError as error:
        refused = str(error)
    check("without a name nothing is done", "Say one of" in refused, refused)
