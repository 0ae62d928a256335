"""Scripts of tests/browser in headless Chromium against a throw-away instance: those that are named, or accounts.js and
passkeys.js.

With SCREENSHOTS=directory, pictures of every page.
"""

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
        command = ["npm", "install", "--silent", "--no-audit", "--no-fund", "--omit=optional", "--ignore-scripts"]
        subprocess.run(command, cwd=TOOLS, check=True, stderr=subprocess.DEVNULL)
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
            "ADMIN_TOKEN": jhe.token("admin"),
            "DEMO_PASSWORD": jhe.demo["users"]["admin"]["password"],
            "MAIL_DIRECTORY": str(Path(jhe.home.name, "mail")),
        }
        scripts = sys.argv[1:] or ["accounts.js", "passkeys.js"]
        return max(subprocess.run(["node", TOOLS / script], env=environment, check=False).returncode for script in scripts)


if __name__ == "__main__":
    sys.exit(main())
