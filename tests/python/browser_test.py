"""The pages in headless Chromium against a throw-away instance. With SCREENSHOTS=directory, pictures of every page."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from instance import ROOT, Instance

TOOLS = ROOT / ".tools" / "browser"


def modules() -> None:
    """Installs what the tests use of npm, once for each list."""
    package = (ROOT / "tests/browser/package.json").read_text()
    installed = TOOLS / "package.json"
    if not installed.exists() or installed.read_text() != package or not (TOOLS / "node_modules").exists():
        TOOLS.mkdir(parents=True, exist_ok=True)
        installed.write_text(package)
        subprocess.run(["npm", "install", "--silent", "--no-audit", "--no-fund"], cwd=TOOLS, check=True, stderr=subprocess.DEVNULL)
    for script in (ROOT / "tests/browser").glob("*.js"):
        shutil.copy(script, TOOLS)


def main() -> int:
    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    if not chromium:
        print("Chromium is missing. Install it and try again: sudo apt-get install chromium")
        return 1
    modules()
    with Instance() as jhe:
        environment = {
            **os.environ,
            "BASE_URL": jhe.base,
            "CHROMIUM": chromium,
            "DEMO_PASSWORD": jhe.demo["users"]["admin"]["password"],
            "MAIL_DIRECTORY": str(Path(jhe.home.name, "mail")),
        }
        return subprocess.run(["node", TOOLS / "accounts.js"], env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
