"""Tests that share one thing which is dear to make: they run one after the other, and a line at the end counts them."""

import traceback
from collections.abc import Callable


class Suite:
    def __init__(self) -> None:
        self.tests: list[Callable] = []

    def test(self, function: Callable) -> Callable:
        """A decorator: the function is one of the suite's tests."""
        self.tests.append(function)
        return function

    def run(self, *shared: object) -> int:
        """Calls each test with what they share. What a program ends with: 1 when a test failed."""
        failed = 0
        for function in self.tests:
            try:
                function(*shared)
            except Exception:
                failed += 1
                print(f"FAILED {function.__name__}\n{traceback.format_exc()}")
        print(f"{len(self.tests) - failed} passed, {failed} failed")
        return 1 if failed else 0
