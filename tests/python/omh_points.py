"""Data points for omh_differential.py: valid ones made from the schemas, and spoilt ones.

Everything is drawn from the `random.Random` that the caller seeds. A number that must keep its
spelling (1e400, 1.00) is written as the text "@@1e400@@" until `to_json` unwraps it.
"""

import copy
import itertools
import json
import re

DATE_TIMES = (
    "2026-03-01T07:30:00Z",
    "2024-02-29T23:59:59.125Z",
    "2024-01-31T00:00:00+05:30",
    "2025-12-31T18:45:10-08:00",
    "2026-07-04t12:00:00z",
    "2026-07-04 12:00:00+00:00",
    "2026-07-04T12:00:00",
    "2026-07-04T12:00Z",
    "2026-07-04T12:00:00+0100",
    "2026-07-04T12:00:00.123456789012Z",
    "2016-12-31T23:59:60Z",
)
NOT_DATE_TIMES = (
    "",
    "yesterday",
    "2026-07-04",
    "2026-02-30T00:00:00Z",
    "2026-13-01T00:00:00Z",
    "2026-07-04T24:00:00Z",
    "2026-07-04T12:60:00Z",
    "2026-07-04T12:00:00Z ",
    "2026-07-04T12:00:00.Z",
    "2026-07-04T12:00:00+24:00",
    "2026-07-04T12:00:00[UTC]",
    "20260704T120000Z",
    "２０２６-07-04T12:00:00Z",
    "2026-07-04T12:00:00é",
)
NUMBERS = (
    0, 1, -3, 72, 5.5, 120.25, 98.6,
    "@@1.00@@", "@@1e3@@", "@@2E-2@@", "@@-0@@", "@@-0.0@@", "@@12345678901234567890@@",
)
DURATION_NUMBERS = (0, 1, 2, 13, 36, 0.5, 1.5, 7.25, "@@1.00@@", "@@1e3@@", "@@2E-2@@")
ODD_NUMBERS = ("@@1e400@@", "@@-1e400@@", "@@1e-400@@", "@@1.0@@", "@@3e0@@", "@@99999999999999999999.5@@", -1, 4.5)
UNITS = ("ps", "ns", "us", "ms", "sec", "min", "h", "d", "wk", "Mo", "yr")
PARTS_OF_DAY = ("morning", "afternoon", "evening", "night")
WRONG = (None, True, False, 0, 7.5, "", "other", [], {}, [1], {"value": 1}, ["x", {}])
FORMS = ("date_time", "start_and_end", "start_and_duration", "end_and_duration", "date_and_part_of_day")


def to_json(value):
    """The JSON text of a generated value."""
    return re.sub(r'"@@(.*?)@@"', r"\1", json.dumps(value))


def make(rng, schemas):
    """A value that satisfies all of `schemas`, a list of (schema, resolver)."""
    flat = [part for schema, resolver in schemas for part in _flatten(rng, schema, resolver)]
    enums = [set(schema["enum"]) for schema, _ in flat if "enum" in schema]
    if enums:
        return rng.choice(sorted(set.intersection(*enums)))
    kinds = {schema["type"] for schema, _ in flat if "type" in schema}
    if "object" in kinds or any("properties" in schema for schema, _ in flat):
        return _object(rng, flat)
    if "array" in kinds:
        items = [(schema["items"], resolver) for schema, resolver in flat if "items" in schema]
        return [make(rng, items) for _ in range(rng.randrange(4))]
    if "string" in kinds:
        return _text(rng, flat)
    if "integer" in kinds:
        return rng.choice((0, 3, 41, "@@2.0@@"))
    if "boolean" in kinds:
        return rng.random() < 0.5
    return rng.choice(NUMBERS)


def _flatten(rng, schema, resolver):
    """The schema without $ref, allOf, anyOf and oneOf; of alternatives one is drawn."""
    if "$ref" in schema:
        target = resolver.lookup(schema["$ref"])
        return _flatten(rng, target.contents, target.resolver)
    parts = [(schema, resolver)]
    for inner in schema.get("allOf", ()):
        parts += _flatten(rng, inner, resolver)
    for alternatives in ("anyOf", "oneOf"):
        if alternatives in schema:
            parts += _flatten(rng, rng.choice(schema[alternatives]), resolver)
    return parts


def _object(rng, flat):
    members = {}
    for schema, resolver in flat:
        for name, inner in schema.get("properties", {}).items():
            members.setdefault(name, []).append((inner, resolver))
    required = {name for schema, _ in flat for name in schema.get("required", ())}
    value = {name: make(rng, inner) for name, inner in members.items() if name in required or rng.random() < 0.5}
    for name in sorted(required - value.keys()):
        value[name] = rng.choice(WRONG)
    return value


def _text(rng, flat):
    for schema, _ in flat:
        if schema.get("format") == "date-time":
            return rng.choice(DATE_TIMES)
        if schema.get("format") == "uuid":
            return f"{rng.getrandbits(32):08x}-0000-4000-8000-{rng.getrandbits(48):012x}"
        if "pattern" in schema:
            return f"20{rng.randrange(10, 40)}-0{rng.randrange(1, 10)}-{rng.randrange(10, 29)}"
    return rng.choice(("walking", "https://device.example/1", "d", "é", "x" * 40))


def duration(rng):
    return {"value": rng.choice(DURATION_NUMBERS), "unit": rng.choice(UNITS)}


def frame(rng, form):
    """An effective time frame of one of FORMS. An interval may end before it starts."""
    if form == "date_time":
        return {"date_time": rng.choice(DATE_TIMES)}
    if form == "date_and_part_of_day":
        date = rng.choice(("2026-03-01", "2024-02-29", "2023-02-29", "2026-13-01", "0001-01-01"))
        return {"time_interval": {"date": date, "part_of_day": rng.choice(PARTS_OF_DAY)}}
    start, end = rng.choice(DATE_TIMES), rng.choice(DATE_TIMES)
    interval = {"start_date_time": start, "end_date_time": end}
    if form == "start_and_duration":
        interval = {"start_date_time": start, "duration": duration(rng)}
    if form == "end_and_duration":
        interval = {"end_date_time": end, "duration": duration(rng)}
    return {"time_interval": interval}


def every_frame():
    """Every mixture of forms, with good and bad members: forms exclude one another, but only
    when all the members of each are right."""
    absent = object()
    times = {
        "date_time": (absent, "2026-03-01T07:30:00Z", 5, "nonsense"),
        "start_date_time": (absent, "2026-03-01T07:30:00Z", 5),
        "end_date_time": (absent, "2026-03-02T07:30:00+01:00", None),
        "duration": (
            absent,
            {"value": 90, "unit": "min"},
            {"value": "90", "unit": "min"},
            {"value": 1, "unit": "year"},
            "P1D",
        ),
        "date": (absent, "2026-03-01", "1 March 2026"),
        "part_of_day": (absent, "night", "noon"),
    }
    for chosen in itertools.product(*times.values()):
        members = {name: value for name, value in zip(times, chosen) if value is not absent}
        outer = {name: members.pop(name) for name in ("date_time",) if name in members}
        yield {**outer, "time_interval": members}
    for outer in ({}, {"date_time": "2026-03-01T07:30:00Z"}, {"date_time": None}):
        yield outer
        for wrong in WRONG:
            yield {**outer, "time_interval": wrong}


def every_duration():
    """Durations at their edges, counted forward and back."""
    values = (*DURATION_NUMBERS, *ODD_NUMBERS, 10**5, 10**12, 2**63, 1234.567, -0.001, "@@-0.0@@", "3")
    for value, unit, moment in itertools.product(values, UNITS, DATE_TIMES[1:4]):
        length = {"value": value, "unit": unit}
        yield {"time_interval": {"start_date_time": moment, "duration": length}}
        yield {"time_interval": {"end_date_time": moment, "duration": length}}


def other_terms(rng, values, terms):
    """Copies with each text in turn replaced by terms of any value set."""
    for value, path in _each_path(values):
        if isinstance(_at(value, path), str):
            for term in rng.sample(terms, 40):
                yield _changed(value, path, term)


def each_place(values):
    """Copies with each member or item in turn taken away, and replaced by each of WRONG."""
    for value, path in _each_path(values):
        lacking = copy.deepcopy(value)
        del _at(lacking, path[:-1])[path[-1]]
        yield lacking
        for wrong in WRONG:
            yield _changed(value, path, wrong)


def _each_path(values):
    """Every path that occurs in the values, with the first value in which it does."""
    done = set()
    for value in values:
        for path in _paths(value):
            if path not in done:
                done.add(path)
                yield value, path


def _paths(value, path=()):
    for key in value if isinstance(value, dict) else range(len(value)):
        yield (*path, key)
        if isinstance(value[key], (dict, list)):
            yield from _paths(value[key], (*path, key))


def _at(value, path):
    for key in path:
        value = value[key]
    return value


def _changed(value, path, new):
    value = copy.deepcopy(value)
    _at(value, path[:-1])[path[-1]] = copy.deepcopy(new)
    return value


def spoil(rng, point):
    """A copy with one to three changes somewhere in it."""
    point = copy.deepcopy(point)
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        if isinstance(point, (dict, list)) and point:
            point = _spoil_once(rng, point)
    return point


def _spoil_once(rng, point):
    paths = list(_paths(point))
    path = rng.choice(paths)
    holder, key = _at(point, path[:-1]), path[-1]
    change = rng.randrange(6)
    if change == 0:
        del holder[key]
    elif change == 1:
        holder[key] = copy.deepcopy(rng.choice(WRONG))
    elif change == 2 and isinstance(holder, dict):
        holder[rng.choice(("note", "unit", "value", "date_time", "duration", "__proto__"))] = rng.choice(WRONG)
    elif change == 3 and isinstance(holder[key], str) and not holder[key].startswith("@@"):
        text = holder[key]
        holder[key] = rng.choice((text.upper(), text + " ", text[1:], "other", *NOT_DATE_TIMES))
    elif change == 4:
        holder[key] = rng.choice(ODD_NUMBERS)
    else:
        holder[key] = copy.deepcopy(_at(point, rng.choice(paths)))
    return point
