"""What is deployed is built for the machines that the stage asks for."""

import os
import struct
import subprocess
import unittest
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from tempfile import TemporaryDirectory

from assemble import ROOT, load
from stage import parameters_of


def script(name: str):
    """A program of scripts/ as a module."""
    loader = SourceFileLoader(name.replace("-", "_"), str(ROOT / "scripts" / name))
    module = module_from_spec(spec_from_loader(loader.name, loader))
    loader.exec_module(module)
    return module


def binary(machine: int, needs: bytes = b"GLIBC_2.17") -> bytes:
    """The beginning of a program (ELF-64, System V ABI chapter 4)."""
    return b"\x7fELF\x02\x01\x01" + bytes(9) + struct.pack("<HH", 2, machine) + bytes(44) + needs


class Packages(unittest.TestCase):
    def test_a_binary_for_another_machine_is_refused_by_name(self):
        checked = script("package-functions").checked
        checked("f", binary(62), "x86_64")
        checked("f", binary(183), "arm64")
        for machine, architecture, said in [(62, "arm64", "x86_64"), (183, "x86_64", "arm64"), (40, "x86_64", "machine 40")]:
            with self.assertRaisesRegex(SystemExit, f"f is built for {said}, and Architecture is {architecture}"):
                checked("f", binary(machine), architecture)

    def test_a_binary_for_a_newer_system_is_refused(self):
        with self.assertRaisesRegex(SystemExit, "GLIBC 2.39"):
            script("package-functions").checked("f", binary(62, b"GLIBC_2.39"), "x86_64")

    def test_every_architecture_of_the_template_can_be_packed(self):
        allowed = load(ROOT / "template.yaml")["Parameters"]["Architecture"]["AllowedValues"]
        self.assertEqual(set(allowed), set(script("package-functions").MACHINES))


class Builds(unittest.TestCase):
    def build(self, architecture: str, rustc: str) -> subprocess.CompletedProcess:
        """A build with another compiler, and with a cargo that would tell."""
        with TemporaryDirectory() as directory:
            for name, text in [("rustc", rustc), ("cargo", "echo cargo >&2; exit 9")]:
                program = Path(directory, name)
                program.write_text(f"#!/bin/sh\n{text}\n")
                program.chmod(0o755)
            environment = {**os.environ, "PATH": f"{directory}:{os.environ['PATH']}", "CARGO": f"{directory}/cargo"}
            return subprocess.run([ROOT / "scripts" / "build-functions", architecture], env=environment, capture_output=True, text=True)

    def test_a_target_that_is_not_installed_is_named_and_not_fetched(self):
        rustc = 'case "$1" in -vV) echo "host: x86_64-unknown-linux-gnu" ;; *) echo /nowhere ;; esac'
        done = self.build("arm64", rustc)
        self.assertEqual(done.returncode, 1)
        self.assertIn("aarch64-unknown-linux-gnu is not installed", done.stderr)
        self.assertNotIn("cargo\n", done.stderr)

    def test_what_this_machine_is_needs_no_target(self):
        for host, architecture in [("aarch64-unknown-linux-gnu", "arm64"), ("x86_64-unknown-linux-gnu", "x86_64")]:
            self.assertIn("cargo\n", self.build(architecture, f"echo host: {host}").stderr)

    def test_what_lambda_does_not_run_is_refused(self):
        done = self.build("riscv", "echo host: x86_64-unknown-linux-gnu")
        self.assertEqual((done.returncode, "no architecture" in done.stderr), (1, True))


class Stages(unittest.TestCase):
    def test_a_stage_has_what_samconfig_says_and_else_the_defaults(self):
        self.assertEqual(parameters_of("dev")["DatabaseClass"], "db.t4g.medium")
        self.assertEqual(parameters_of("prod")["Architecture"], "x86_64")


if __name__ == "__main__":
    unittest.main()
