from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from connectors.process.resident import container_limit

MIB = 1024 * 1024


def laid_out(root: Path, groups: str, **limits: str) -> Path:
    """What a container sees: `groups` in /proc/self/cgroup, `limits` by their paths below /sys/fs/cgroup."""
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/cgroup").write_text(groups)
    for path, text in limits.items():
        file = root / "sys/fs/cgroup" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text + "\n")
    return root


@pytest.mark.parametrize(
    ("groups", "limits", "expected"),
    [
        pytest.param("0::/\n", {"memory.max": "402653184"}, 384 * MIB, id="its own group is all that is mounted"),
        pytest.param("0::/\n", {"memory.max": "max"}, 0, id="none"),
        pytest.param("0::/a/b\n", {"a/b/memory.max": "max", "a/memory.max": "1048576"}, MIB, id="of the group above"),
        pytest.param(
            "0::/a/b\n", {"a/b/memory.max": "2097152", "a/memory.max": "1048576"}, MIB, id="the least of all counts"
        ),
        pytest.param("0::/kubepods/pod1\n", {"memory.max": "1048576"}, MIB, id="the path is the host's"),
        pytest.param(
            "5:cpu:/x\n4:memory:/x\n0::/\n", {"memory/x/memory.limit_in_bytes": "1048576"}, MIB, id="version 1"
        ),
        pytest.param(
            "4:memory:/\n", {"memory/memory.limit_in_bytes": "9223372036854771712"}, 0, id="version 1, without one"
        ),
        pytest.param("nonsense\n", {}, 0, id="what is no line of that file"),
    ],
)
def test_t32_what_a_container_may_have(tmp_path: Path, groups: str, limits: dict[str, str], expected: int) -> None:
    assert container_limit(laid_out(tmp_path, groups, **limits)) == expected


def test_without_control_groups_there_is_no_limit(tmp_path: Path) -> None:
    assert container_limit(tmp_path) == 0


ALONE = """
from connectors.process.resident import give_back, resident
begun = resident()
held = [bytes(range(256)) * 240 for _ in range(800)]
full = resident()
last = [held[-1][:60_000]]
held.clear()
give_back()
print(begun, full, resident(), len(last))
"""


def test_t32_memory_is_given_back() -> None:
    """Below something that stays, glibc alone gives nothing back. In a process of its own: this one has free memory."""
    done = subprocess.run([sys.executable, "-c", ALONE], capture_output=True, check=True, timeout=30)
    begun, full, after, _ = map(int, done.stdout.split())
    assert full > begun + 40 * MIB
    assert after < begun + 16 * MIB
