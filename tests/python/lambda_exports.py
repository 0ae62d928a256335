"""An export of a study, under the Lambda runtime: written to S3 by the function that the clock calls, downloaded, and ended."""

import json
from collections.abc import Callable

from instance import ROOT
from lambda_steps import Answer
from lambda_world import EXPORTS, World
from runtime_api import FunctionProcess

RUN, FILE = "export-run", "fhir-export-file"
STATUS = "fhir-export-status"
FUNCTIONS = {RUN, FILE}


def objects(world: World) -> list[str]:
    pages = world.client("s3").get_paginator("list_objects_v2").paginate(Bucket=EXPORTS)
    return [found["Key"] for page in pages for found in page.get("Contents", [])]


def run(start: Callable[[str], FunctionProcess], load: Callable[[str, dict], dict], world: World, values: dict, check: Callable[..., None]) -> None:
    """The steps asked for an export. `load(event, values)` fills in an event; `check(what, good, detail)` counts."""
    with start(RUN) as process:
        done = process.invoke(json.loads((ROOT / "events" / f"{RUN}.json").read_text()))
    names = objects(world)
    check("the export is made", done["exports"] == 1 and done["files"] == len(names) > 2, f"{done} {names}")
    check("below its own name", all(name.startswith(f"jhe/{values['export']}/") for name in names), names)
    body = world.client("s3").get_object(Bucket=EXPORTS, Key=names[0])["Body"].read()
    check("and nobody reads it there", b"resourceType" not in body, body[:80])
    # Among the steps is another password, which ends what there was.
    values = {**values, "viewer_victor": world.token("viewer_victor@example.com")}
    with start(STATUS) as status:
        manifest = Answer(status.invoke(load(STATUS, values)))
        files = {file["url"].rsplit("/", 1)[1]: file for file in manifest.json["output"]}
        check("the manifest names the files", manifest.status == 200 and len(files) == len(names), manifest.text)
        name = next(name for name in files if name.startswith("Observation-"))
        with start(FILE) as process:
            file = Answer(process.invoke(load(FILE, {**values, "file": name})))
        kinds = {json.loads(line)["resourceType"] for line in file.text.splitlines()}
        check("a file has a resource on each line", (file.status, kinds) == (200, {"Observation"}), file.text[:200])
        # The same route.
        event = json.loads(json.dumps(load(STATUS, values)).replace("GET", "DELETE"))
        ended = Answer(status.invoke(event))
    check("deleted, nothing is left of it", (ended.status, objects(world)) == (202, []), f"{ended.raw} {objects(world)}")
