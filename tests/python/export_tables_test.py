"""A study exported as Parquet and as CSV, read by pyarrow: the values, their types, units and times are those of the same observations in FHIR."""

import base64
import csv
import io
import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.parquet as pq
import requests
from instance import Instance

STUDY = "/FHIR/R5/Group/30001/$export"
CODE = "https://jupyterhealth.org/fhir/export/code"
TIMES = ("last_updated", "effective_start", "effective_end", "source_creation_date_time")
TEXTS = ("header_uuid", "modality", "other")


class Count:
    passed = failed = 0

    def check(self, what: str, good: bool, detail: object = "") -> None:
        if good:
            self.passed += 1
        else:
            self.failed += 1
            print(f"FAILED {what}: {detail}", flush=True)


def export(jhe: Instance, user: str, form: str) -> list[tuple[str, bytes]]:
    """The files of an export, each with the code of its observations."""
    session = requests.Session()
    session.headers.update({"Authorization": f"Bearer {jhe.token(user)}", "Prefer": "respond-async"})
    asked = session.get(jhe.base + STUDY, params={"_outputFormat": form, "_type": "Observation"}, timeout=30)
    if asked.status_code != 202:
        raise SystemExit(f"{form}: {asked.status_code} {asked.text}")
    # The host's clock comes by each minute.
    deadline = time.monotonic() + 180
    while (status := session.get(asked.headers["Content-Location"], timeout=30)).status_code == 202 and time.monotonic() < deadline:
        time.sleep(1)
    files = [(file.get("extension", {}).get(CODE, ""), session.get(file["url"], timeout=30)) for file in status.json()["output"]]
    session.delete(asked.headers["Content-Location"], timeout=30)
    return [(code, file.content) for code, file in files]


def instant(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text).astimezone(UTC) if text else None


def values(found: dict, path: str, value: object) -> dict:
    if isinstance(value, dict):
        for name, member in value.items():
            values(found, f"{path}.{name}" if path else name, member)
    else:
        found[path] = value
    return found


def main() -> int:
    count = Count()
    with Instance() as jhe:
        forms = ["application/fhir+ndjson", "application/vnd.apache.parquet", "text/csv"]
        # At the same time, so each by another of the organization: an account has one export of a study at a time.
        with ThreadPoolExecutor() as lanes:
            resources, tables, texts = lanes.map(export, [jhe] * 3, ["viewer_victor", "member_megan", "manager_mary"], forms)
    lines = [json.loads(line) for _, file in resources for line in file.splitlines()]
    expected = {int(line["id"]): line for line in lines}
    count.check("there are observations", len(expected) > 3, expected)
    read = {}
    for code, file in tables:
        table = pq.read_table(io.BytesIO(file))
        types = {field.name: field.type for field in table.schema}
        for name in TIMES:
            count.check(f"{code} {name} is an instant of UTC", types[name] == pa.timestamp("us", tz="UTC"), types[name])
        for name in TEXTS:
            count.check(f"{code} {name} is a text", types[name] == pa.string(), types[name])
        count.check(f"{code} numbers are integers", types["patient_id"] == types["observation_id"] == pa.int64(), types)
        for name, kind in types.items():
            wanted = pa.float64() if name.endswith(".value") else pa.string() if name.endswith(".unit") else kind
            count.check(f"{code} {name}", kind == wanted, kind)
        compressed = {pq.read_metadata(io.BytesIO(file)).row_group(0).column(0).compression}
        count.check(f"{code} is compressed", compressed == {"ZSTD"}, compressed)
        # By its name, which has dots.
        some = [name for name in types if name.endswith(".value")][:1]
        count.check(f"{code} has its columns by their names", pq.read_table(io.BytesIO(file), columns=some).column_names == some, some)
        read |= {row["observation_id"]: row for row in table.to_pylist()}
    count.check("each observation is a row", read.keys() == expected.keys(), read.keys() ^ expected.keys())
    for number, row in read.items():
        line = expected[number]
        point = json.loads(base64.b64decode(line["valueAttachment"]["data"]))
        body, header = point["body"], dict(point["header"])
        created = header.pop("source_creation_date_time")
        period = line.get("effectivePeriod", {})
        wanted = {
            "patient_id": int(line["subject"]["reference"].removeprefix("Patient/")),
            "observation_id": number,
            "status": line["status"],
            "code": line["code"]["coding"][0]["code"],
            "last_updated": instant(line["meta"]["lastUpdated"]),
            "effective_start": instant(period.get("start", line.get("effectiveDateTime"))),
            "effective_end": instant(period.get("end")),
            "header_uuid": header.pop("uuid"),
            "source_creation_date_time": instant(created),
            "modality": header.pop("modality", None),
            **values({}, "", body),
        }
        # The header's name of the schema is what the column `code` says, and all else of it is kept.
        named = ":".join(header.pop("schema_id").values())
        count.check(f"the schema of observation {number}", named == line["code"]["coding"][0]["code"], named)
        if created != instant(created).isoformat().replace("+00:00", "Z"):
            header["source_creation_date_time"] = created
        other = json.dumps({"header": header}, separators=(",", ":"), sort_keys=True) if header else None
        differs = {name: (row.get(name), value) for name, value in wanted.items() if row.get(name) != value}
        count.check(f"observation {number}", not differs and row["other"] == other, f"{differs} {row['other']}")
    rows = {row["observation_id"]: row for _, text in texts for row in csv.DictReader(io.StringIO(text.decode()))}
    count.check("CSV has the same rows", {int(number) for number in rows} == expected.keys(), rows.keys())
    names = {code: list(csv.reader(io.StringIO(text.decode())))[0] for code, text in texts}
    same = {code: pq.read_schema(io.BytesIO(file)).names for code, file in tables}
    count.check("and the same columns", names == same, f"{names} {same}")
    print(f"{count.passed} passed, {count.failed} failed")
    return 1 if count.failed else 0


if __name__ == "__main__":
    sys.exit(main())
