"""A throw-away instance of the exchange with the demo world, for the scripts beside this file."""

import json
import os
import subprocess
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
JHE = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "debug" / "jhe"


class Instance:
    """`with Instance() as jhe:` gives the base URL, the demo world and the users' tokens; all is gone afterwards."""

    def __enter__(self) -> "Instance":
        self.home = tempfile.TemporaryDirectory()
        environment = {**os.environ, "JHE_HOME": self.home.name, "PORT": "0"}
        for name in ["DB_HOST", "DB_NAME"]:
            environment.pop(name, None)
        environment.setdefault("LOG_LEVEL", "off")
        self.process = subprocess.Popen([JHE, "serve", "--demo"], env=environment, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout
        for line in self.process.stdout:
            if line.startswith("ready: "):
                self.base = line.split()[1]
                break
        else:
            raise SystemExit("the instance did not start")
        self.demo = json.loads(Path(self.home.name, "demo.json").read_text())
        return self

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        self.process.wait()
        link = Path(self.home.name, "postgres")
        if link.is_symlink():
            subprocess.run(["rm", "-rf", str(link.resolve())], check=True)
        self.home.cleanup()

    def token(self, user: str) -> str:
        return self.demo["users"][user]["access_token"]
