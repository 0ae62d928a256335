"""The parameters of a stage: what samconfig.toml says, and for the rest the defaults of template.yaml. `stage.py STAGE PARAMETER` prints one."""

import sys
import tomllib
from functools import cache

from assemble import ROOT, load


@cache
def parameters_of(stage: str) -> dict[str, str]:
    given = tomllib.loads((ROOT / "samconfig.toml").read_text())[stage]["deploy"]["parameters"]["parameter_overrides"]
    declared = load(ROOT / "template.yaml")["Parameters"]
    return {name: str(parameter.get("Default", "")) for name, parameter in declared.items()} | dict(pair.split("=", 1) for pair in given)


if __name__ == "__main__":
    print(parameters_of(sys.argv[1])[sys.argv[2]])
