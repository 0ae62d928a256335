"""The shape of an answer: which members it has, and of which JSON type each is. Ids and times count by their type."""

import re

TIME = re.compile(r"\d{4}-\d\d-\d\d(T\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d))?")
# What an app uploaded comes back as it was: its members are the app's.
UPLOADED = (".omhData.header", ".omhData.body")


def kind(value: object) -> str:
    """The JSON type; of a string also whether it is a time, or a date."""
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, str):
        return "time" if TIME.fullmatch(value) else "string"
    return {type(None): "null", int: "number", float: "number", dict: "object", list: "array"}[type(value)]


def shape(value: object, path: str = "$") -> dict[str, set[str]]:
    """Every path of a value with the types found there. The elements of an array share one path."""
    found = {path: {kind(value)}}
    members = []
    if path.endswith(UPLOADED):
        return found
    if isinstance(value, dict):
        members = [(f"{path}.{name}", member) for name, member in value.items()]
    elif isinstance(value, list):
        members = [(f"{path}[]", element) for element in value]
    for below, member in members:
        for place, kinds in shape(member, below).items():
            found.setdefault(place, set()).update(kinds)
    return found


def outermost(paths: set[str]) -> list[str]:
    """The paths that are not inside another of them."""
    return sorted(path for path in paths if not any(path != other and path.startswith((f"{other}.", f"{other}[")) for other in paths))


def differences(recorded: object, answered: object) -> list[str]:
    """What an answer lacks (-), has besides (+), or has of another type (~)."""
    old, new = shape(recorded), shape(answered)
    lines = [f"- {path}" for path in outermost(old.keys() - new.keys())]
    lines += [f"+ {path}" for path in outermost(new.keys() - old.keys())]
    for path in sorted(old.keys() & new.keys()):
        if new[path] - old[path]:
            lines.append(f"~ {path} {'|'.join(sorted(old[path]))} -> {'|'.join(sorted(new[path]))}")
    return lines
