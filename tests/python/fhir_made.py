"""Resources of R5 made from the table of its definitions, and the ways to spoil them. For fhir_differential.py."""

import copy
import random
from dataclasses import dataclass
from pathlib import Path

TABLE = Path(__file__).resolve().parents[2] / "shared/fhir/src/r5/definitions.txt"
SIGNS = {"": (False, False), "!": (True, False), "*": (False, True), "+": (True, True)}

# Values of each primitive type, good and bad.
GOOD = {
    "base64Binary": ["YQ==", "aGVsbG8="],
    "boolean": [True, False],
    "canonical": ["https://x.example/q|1.0", "Questionnaire/q"],
    "code": ["final", "two words"],
    "date": ["2026", "2026-02", "2026-02-28"],
    "dateTime": ["2026", "2026-02", "2024-02-29", "2026-02-28T08:00:00Z", "2026-02-28T08:00:00.125+05:30"],
    "decimal": [0, 1.5, -2.25, 1e3],
    "id": ["a-1.B", "x" * 64],
    "instant": ["2026-02-28T08:00:00Z", "2026-02-28T08:00:00.125-08:00"],
    "integer": [0, -1, 2147483647],
    "integer64": [0, 9007199254740993],
    "markdown": ["*a*\n\nb"],
    "oid": ["urn:oid:1.2.840.0"],
    "positiveInt": [1, 2147483647],
    "string": ["a", "é 字 \t b"],
    "time": ["08:00:00", "23:59:59.5"],
    "unsignedInt": [0, 7],
    "uri": ["urn:x:y", "https://x.example/a"],
    "url": ["https://x.example/a"],
    "uuid": ["urn:uuid:94b6b4a8-d8a9-40e6-bb53-6bc4c441dc47"],
    "xhtml": ['<div xmlns="http://www.w3.org/1999/xhtml">a</div>'],
}
BAD = {
    "base64Binary": ["a", "YQ"],
    "boolean": ["maybe", 7, []],
    "canonical": [7, {}],
    "code": ["", " a", "a  b", 7],
    "date": ["26", "2026-13", "2026-02-28T08:00:00Z", "soon"],
    "dateTime": ["2026-13", "2026-02-28T08:00", "2026-02-28T08:00:00", "soon"],
    "decimal": ["x", [], {}],
    "id": ["a b", "a_b", 7],
    "instant": ["2026-02-28", "2026-02-28T08:00:00", "soon"],
    "integer": [1.5, 2147483648, "x"],
    "integer64": [1.5, "x"],
    "markdown": [7, {}],
    "oid": ["1.2.3", "urn:oid:3.1", "urn:oid:1.02"],
    "positiveInt": [0, -1, 1.5],
    "string": ["", 7, {}],
    "time": ["8:00", "24:00:00", "soon"],
    "unsignedInt": [-1, 1.5],
    "uri": [7, {}],
    "url": [7, {}],
    "uuid": ["x", 7],
    "xhtml": [7, {}],
}
# Not R5, and taken by fhir.resources: it reads numbers from texts, and checks no uris and no value sets.
STRICTER = {
    "boolean": ["true", 1],
    "canonical": ["a b", ""],
    "decimal": ["1.5"],
    "id": ["x" * 65],
    "integer": ["1"],
    "markdown": [""],
    "positiveInt": ["1"],
    "string": [" "],
    "unsignedInt": ["0"],
    "uri": ["a b", ""],
    "url": ["a b"],
    "xhtml": ["a"],
}


@dataclass(frozen=True)
class Element:
    """An element of a type: its name, what it can be, and how many there are."""

    name: str
    types: tuple[str, ...]
    value_set: str | None
    required: bool
    many: bool
    choice: bool

    def key(self, kind: str) -> str:
        return self.name + kind[0].upper() + kind[1:] if self.choice else self.name


def element(text: str) -> Element:
    name, _, types = text.partition("=")
    bare = types.rstrip("!*+")
    required, many = SIGNS[types[len(bare):]]
    bare, _, value_set = bare.partition("@")
    return Element(name.removesuffix("[x]"), tuple(bare.split("|")), value_set or None, required, many, name.endswith("[x]"))


class Table:
    """The definitions."""

    def __init__(self) -> None:
        self.types: dict[str, tuple[str, list[Element]]] = {}
        self.codes: dict[str, list[str]] = {}
        for line in TABLE.read_text(encoding="utf-8").splitlines():
            name, *rest = line.split(" ")
            if name.startswith("#"):
                self.codes[name[1:]] = rest
            else:
                self.types[name] = (rest[0], [element(text) for text in rest[1:]])

    def elements(self, name: str) -> list[Element]:
        found = []
        while name in self.types:
            name, own = self.types[name]
            found += own
        return found


class Maker:
    """Makes resources, and spoils them."""

    def __init__(self, table: Table, rng: random.Random) -> None:
        self.table, self.rng = table, rng

    def value(self, one: Element, kind: str, depth: int):
        if kind in GOOD:
            codes = self.table.codes.get(one.value_set) if one.value_set else None
            return self.rng.choice(codes or GOOD[kind])
        if kind == "Resource":
            return self.resource(self.rng.choice(["Practitioner", "Organization", "Medication", "Device", "Observation"]), depth - 1)
        return self.object(kind, depth - 1)

    def add(self, made: dict, one: Element, depth: int, kind: str | None = None) -> None:
        kind = kind or self.rng.choice(one.types)
        value = self.value(one, kind, depth)
        made[one.key(kind)] = [value] if one.many else value

    def object(self, name: str, depth: int, only: Element | None = None) -> dict:
        """An object with what is required, and `only`, or some of the rest."""
        made: dict = {}
        for one in self.table.elements(name):
            wanted = one == only if only else depth > 0 and self.rng.random() < 0.2 and one.name not in ("contained", "extension")
            if one.required or wanted:
                self.add(made, one, depth)
        if not made:
            simple = [one for one in self.table.elements(name) if one.types[0] in GOOD and one.name != "id"]
            self.add(made, self.rng.choice(simple or self.table.elements(name)), depth)
        return made

    def resource(self, kind: str, depth: int = 3, only: Element | None = None) -> dict:
        return {"resourceType": kind, **self.object(kind, depth, only)}

    def each(self, kind: str):
        """Resources in which every element of a type, in every form, is there once."""
        for one in self.table.elements(kind):
            for form in one.types:
                made = self.resource(kind, 2)
                for other in one.types:
                    made.pop(one.key(other), None)
                self.add(made, one, 3, form)
                yield made

    def places(self, value: dict, name: str, path=()):
        """Every object in a resource: the object and its type."""
        yield value, name
        for one in self.table.elements(name):
            for kind in one.types:
                if kind in GOOD or one.key(kind) not in value:
                    continue
                inner = value[one.key(kind)]
                for item in inner if isinstance(inner, list) else [inner]:
                    yield from self.places(item, item["resourceType"] if kind == "Resource" else kind)

    def spoilt(self, resource: dict):
        """One fault of each kind that the resource has room for: its label, whether fhir.resources finds it (none: not always), and
        the resource."""
        for label, found, spoil in FAULTS:
            made = copy.deepcopy(resource)
            places = list(self.places(made, made["resourceType"]))
            self.rng.shuffle(places)
            for place, name in places:
                if spoil(self, place, self.table.elements(name)):
                    yield label, found, made
                    break

    def present(self, place: dict, elements: list[Element], wanted) -> tuple[Element, str, str] | None:
        """An element that is there, with its type and its key."""
        found = [(one, kind, one.key(kind)) for one in elements for kind in one.types if one.key(kind) in place and wanted(one, kind)]
        return self.rng.choice(found) if found else None


def unknown(maker: Maker, place: dict, _elements) -> bool:
    place["bananas"] = 1
    return True


def missing(maker: Maker, place: dict, elements) -> bool:
    found = maker.present(place, elements, lambda one, kind: one.required)
    # Of a choice that is required, fhir.resources says so too; the last member would leave an empty object.
    if found and len(place) > 1:
        del place[found[2]]
        return True
    return False


def listed(maker: Maker, place: dict, elements) -> bool:
    found = maker.present(place, elements, lambda one, kind: not one.many)
    if found:
        place[found[2]] = [place[found[2]]]
    return bool(found)


def unlisted(maker: Maker, place: dict, elements) -> bool:
    found = maker.present(place, elements, lambda one, kind: one.many)
    if found:
        place[found[2]] = place[found[2]][0]
    return bool(found)


def twice(maker: Maker, place: dict, elements) -> bool:
    found = maker.present(place, elements, lambda one, kind: one.choice and len(one.types) > 1)
    if found:
        one, kind, _ = found
        maker.add(place, one, 1, maker.rng.choice([other for other in one.types if other != kind]))
    return bool(found)


def replaced(values, wanted):
    def spoil(maker: Maker, place: dict, elements) -> bool:
        found = maker.present(place, elements, lambda one, kind: kind in values and wanted(one))
        if found:
            one, kind, key = found
            bad = maker.rng.choice(values[kind])
            place[key] = [bad] if one.many else bad
        return bool(found)

    return spoil


def complex_as(value):
    def spoil(maker: Maker, place: dict, elements) -> bool:
        found = maker.present(place, elements, lambda one, kind: kind not in GOOD)
        if found:
            place[found[2]] = [value] if found[0].many else value
        return bool(found)

    return spoil


def emptied(maker: Maker, place: dict, elements) -> bool:
    found = maker.present(place, elements, lambda one, kind: one.many)
    if found:
        place[found[2]] = []
    return bool(found)


FAULTS = [
    ("an element that is not of R5", True, unknown),
    ("a required element that is missing", True, missing),
    ("a list where one is", True, listed),
    ("one where a list is", True, unlisted),
    ("two forms of one element", True, twice),
    ("a value that is not of its type", True, replaced(BAD, lambda one: True)),
    ("a text where an object is", True, complex_as("x")),
    ("a number where an object is", True, complex_as(7)),
    ("a value that fhir.resources takes", False, replaced(STRICTER, lambda one: not one.value_set)),
    ("a code that is not of its value set", False, replaced({"code": ["bananas"]}, lambda one: one.value_set)),
    # It finds those that lack what is required, or a value and an extension.
    ("an empty object", None, complex_as({})),
    ("an empty list", False, emptied),
]
