"""The scheduled functions that look after the audit, under the Lambda runtime."""

import json
from collections.abc import Callable

from instance import ROOT
from runtime_api import FunctionProcess

PARTS = "audit-partitions"
FUNCTIONS = {PARTS}


def parts(process: FunctionProcess, check: Callable[..., None]) -> None:
    """The migration has made the parts of the coming months: there is nothing to do, and the function says until when."""
    report = process.invoke(json.loads((ROOT / "events" / f"{PARTS}.json").read_text()))
    check("the audit has its parts", report["made"] == 0 and report["until"].endswith("-01T00:00:00Z"), report)
