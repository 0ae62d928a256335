"""Excuses are for what they name, and an idle one is found."""

import unittest
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from unittest.mock import patch

import lint
from lint import Exceptions, Finding


class Excuses(unittest.TestCase):
    def setUp(self):
        self.exceptions = Exceptions()
        self.exceptions.entries = [{"rule": "R1", "where": ["stack/A*", "other/B"], "why": "It is so."}, {"rule": "R2", "where": ["*"], "why": ""}]

    def test_only_the_rule_and_the_place_that_are_named_are_excused(self):
        self.assertTrue(self.exceptions.excuse(Finding("R1", "stack/Any", "")))
        for rule, where in [("R1", "stack/B"), ("R1", "another/A"), ("R3", "stack/Any")]:
            self.assertFalse(self.exceptions.excuse(Finding(rule, where, "")), f"{rule} {where}")

    def test_without_a_reason_nothing_is_excused(self):
        self.assertFalse(self.exceptions.excuse(Finding("R2", "stack/A", "")))

    def test_what_nothing_needed_is_found(self):
        self.exceptions.excuse(Finding("R1", "stack/Any", ""))
        self.assertEqual([(idle.rule, idle.where) for idle in self.exceptions.idle()], [("R1", "other/B"), ("R2", "*")])


class Tools(unittest.TestCase):
    def test_a_tool_that_is_not_installed_fails_and_is_named(self):
        self.assertEqual(lint.missing(), [])
        for name in ("GUARD", "CHECKOV"):
            with patch.object(lint, name, Path("/nowhere/tool")), redirect_stdout(StringIO()) as said:
                self.assertEqual(lint.main(), 1)
            self.assertIn("/nowhere/tool", said.getvalue())
            self.assertTrue(said.getvalue().endswith("0 passed, 1 failed\n"))


if __name__ == "__main__":
    unittest.main()
