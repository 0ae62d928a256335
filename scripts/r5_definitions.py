"""Makes shared/fhir/src/r5/definitions.txt from the published definitions of FHIR R5.

Run from the repository's root, with npm for the two packages that HL7 publishes:

    python scripts/r5_definitions.py

Of each resource and data type the table has the elements: their names, types, how many there are, and the codes of required
bindings that can be listed. One line each:

    #<value set> <code> ...
    <type> <type that it extends> <element>=<type>[|<type>...][@<value set>][!*+] ...

An element without a sign is there at most once, with `!` once, with `*` any number of times, with `+` at least once. `x[x]` is
written `x[x]=<type>|<type>...`; an element with elements of its own has the path of these as its type.
"""

import json
import subprocess
import tarfile
import tempfile
from pathlib import Path

PACKAGES = ("hl7.fhir.r5.core@5.0.0", "hl7.fhir.r5.expansions@5.0.0")
TABLE = Path(__file__).resolve().parents[1] / "shared/fhir/src/r5/definitions.txt"
SYSTEM = "http://hl7.org/fhirpath/System."
# What others extend. Each element of theirs is in their own line only.
BASES = {"Base", "Element", "BackboneElement", "DataType", "BackboneType", "Resource", "DomainResource", "Quantity"}
# A longer list says less than it costs: these are checked as codes.
LONGEST = 250


def packages(directory: str) -> dict[str, list]:
    """Every definition of the packages, by resource type."""
    found: dict[str, list] = {}
    for package in PACKAGES:
        made = subprocess.run(["npm", "pack", "--silent", package], cwd=directory, check=True, capture_output=True, text=True)
        with tarfile.open(Path(directory) / made.stdout.split()[-1]) as archive:
            for member in archive:
                if member.name.startswith(("package/StructureDefinition-", "package/ValueSet-")):
                    kind = member.name.split("/")[1].split("-")[0]
                    expansion = "expansions" in package
                    if (kind == "ValueSet") == expansion:
                        found.setdefault(kind, []).append(json.load(archive.extractfile(member)))
    return found


def codes_of(value_set: dict) -> list[str]:
    """The codes of a value set, if all of them can be listed."""
    found = []
    pending = list(value_set.get("expansion", {}).get("contains", []))
    while pending:
        entry = pending.pop()
        pending += entry.get("contains", [])
        if "code" in entry and not entry.get("abstract"):
            found.append(entry["code"])
    return sorted(set(found))


def type_name(element: dict, kind: dict) -> str:
    """The name of a type of an element. Ids are texts of the language of paths; what they are is in an extension."""
    code = kind["code"]
    if not code.startswith(SYSTEM):
        return code
    named = [extension.get("valueUrl") for extension in kind.get("extension", []) if extension["url"].endswith("fhir-type")]
    if element["path"].startswith(("Resource.", "DomainResource.")) and element["path"].endswith(".id"):
        return "id"
    return named[0] if named and named[0] == "uri" else "string"


def written(element: dict, lists: dict[str, list[str]], used: set[str], nested: bool) -> str:
    """An element in the table."""
    name = element["path"].rsplit(".", 1)[1]
    if "contentReference" in element:
        types = element["contentReference"].split("#")[1]
    elif nested:
        types = element["path"]
    else:
        types = "|".join(dict.fromkeys(type_name(element, kind) for kind in element["type"]))
    binding = element.get("binding", {})
    if types == "code" and binding.get("strength") == "required":
        url = binding["valueSet"].split("|")[0]
        codes = lists.get(url, [])
        if 0 < len(codes) <= LONGEST and not any(" " in code for code in codes):
            label = url.rsplit("/", 1)[1]
            used.add(label)
            types += "@" + label
    sign = {("0", "1"): "", ("1", "1"): "!", ("0", "*"): "*", ("1", "*"): "+"}
    many = "1" if element["max"] == "1" else "*"
    return f"{name}={types}{sign[(str(min(element['min'], 1)), many)]}"


def lines(definitions: list[dict], lists: dict[str, list[str]], used: set[str]):
    """The line of each type, and of each element that has elements."""
    for definition in definitions:
        elements = definition["snapshot"]["element"]
        groups: dict[str, list] = {}
        bases = {definition["type"]: definition.get("baseDefinition", "/-").rsplit("/", 1)[1]}
        parents = {element["path"].rsplit(".", 1)[0] for element in elements if "." in element["path"]}
        groups[definition["type"]] = []
        for element in elements[1:]:
            parent = element["path"].rsplit(".", 1)[0]
            if element["path"] in parents:
                bases[element["path"]] = element["type"][0]["code"]
                groups[element["path"]] = []
            inherited = element.get("base", {}).get("path", element["path"]).rsplit(".", 1)[0]
            if inherited in BASES and inherited != parent:
                continue
            groups[parent].append(written(element, lists, used, element["path"] in parents))
        for path, written_elements in groups.items():
            yield " ".join([path, bases[path], *written_elements])


def main() -> None:
    with tempfile.TemporaryDirectory() as directory:
        found = packages(directory)
    kept = {
        definition["type"]: definition
        for definition in found["StructureDefinition"]
        if definition["kind"] in ("resource", "complex-type") and definition.get("derivation") != "constraint"
        # What is abstract is there where others extend it.
        and (not definition["abstract"] or definition["type"] in BASES)
    }
    lists = {value_set["url"]: codes_of(value_set) for value_set in found["ValueSet"]}
    by_label = {url.rsplit("/", 1)[1]: codes for url, codes in lists.items()}
    used: set[str] = set()
    types = list(lines([kept[name] for name in sorted(kept)], lists, used))
    text = [" ".join(["#" + label, *by_label[label]]) for label in sorted(used)] + types
    TABLE.write_text("\n".join(text) + "\n", encoding="utf-8")
    print(f"{len(types)} types, {len(used)} value sets, {TABLE.stat().st_size} bytes")


if __name__ == "__main__":
    main()
