"""`python -m tests.counted`: how many test functions there are, and how many cases they make."""

from __future__ import annotations

import sys

import pytest


class Counts:
    """A plugin of pytest that counts what is collected."""

    def __init__(self) -> None:
        self.functions = 0
        self.cases = 0

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """A case is named as its function, with the values of its parameters in brackets."""
        self.cases = len(session.items)
        self.functions = len({item.nodeid.partition("[")[0] for item in session.items})


def main() -> int:
    """Collect and count; returns pytest's own exit code where something cannot be collected."""
    counts = Counts()
    code = pytest.main(["--collect-only", "-p", "no:terminal"], plugins=[counts])
    if not code:
        sys.stdout.write(f"{counts.functions} test functions make {counts.cases} cases\n")
    return int(code)


if __name__ == "__main__":
    raise SystemExit(main())
