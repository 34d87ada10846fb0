"""`python -m tests.mutation.run [WORD...]`: apply each mutation to a copy of the tree, and see that a test fails.

WORDs choose those whose names hold one of them. Ends with 1 where a mutation went unnoticed.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.mutation.mutations import ROOT, Mutation, mutations

TESTS = Path("tests/proxy/transcripts/remembering")
SECONDS = 600
"""A mutation that hangs is noticed as well."""


def is_noticed(mutation: Mutation, tree: Path, folder: Path = TESTS) -> bool:
    """Whether one of its tests, in this folder of `tree`, fails. The tree is put right again."""
    before = {edit.path: (tree / edit.path).read_text(encoding="utf-8") for edit in mutation.edits}
    try:
        for edit in mutation.edits:
            path = tree / edit.path
            path.write_text(edit.of(path.read_text(encoding="utf-8")), encoding="utf-8")
        return _fails([str(folder / test) for test in mutation.tests], tree)
    finally:
        for name, text in before.items():
            (tree / name).write_text(text, encoding="utf-8")


def _fails(tests: Sequence[str], tree: Path) -> bool:
    """Raises RuntimeError where they did not run at all."""
    command = [sys.executable, "-B", "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "--timeout", "60", *tests]
    try:
        done = subprocess.run(command, cwd=tree, capture_output=True, timeout=SECONDS, check=False)
    except subprocess.TimeoutExpired:
        return True
    if done.returncode not in (0, 1):
        raise RuntimeError(done.stdout.decode() + done.stderr.decode())
    return done.returncode == 1


def copied(to: Path) -> Path:
    """The tree as git knows it, with what has changed since."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout
    for name in filter(None, listed.decode().split("\0")):
        if (ROOT / name).is_file():
            (to / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, to / name)
    return to


def main(words: Sequence[str]) -> int:
    """Run the chosen ones, one after the other."""
    chosen = [item for item in mutations() if not words or any(word in item.name for word in words)]
    unnoticed = 0
    with TemporaryDirectory(prefix="mutated-") as folder:
        tree = copied(Path(folder))
        for mutation in chosen:
            began = time.monotonic()
            noticed = is_noticed(mutation, tree)
            unnoticed += not noticed
            _say(f"{'noticed' if noticed else 'NOT NOTICED'}: {mutation.name} ({time.monotonic() - began:.0f} s)")
    _say(f"{len(chosen) - unnoticed} of {len(chosen)} mutations were noticed")
    return 1 if unnoticed else 0


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
