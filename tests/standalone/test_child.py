from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import AsyncIterator

import pytest

from standalone.child import Child, ChildError

ECHO = "import sys, signal\nprint('ready on 1', flush=True)\nprint('on stderr', file=sys.stderr, flush=True)\n"
WAIT = ECHO + "signal.pause()\n"


async def python(script: str) -> Child:
    return await Child.start("the child", [sys.executable, "-c", script])


@pytest.fixture
async def waiting() -> AsyncIterator[Child]:
    child = await python(WAIT)
    yield child
    await child.stop()


async def test_line_is_found_before_and_after_it_was_said(waiting: Child) -> None:
    assert (await waiting.line(r"ready on (\d)"))[1] == "1"
    assert (await waiting.line(r"ready on (\d)"))[1] == "1"
    await waiting.line("on stderr")
    assert waiting.log == "ready on 1\non stderr"
    assert waiting.exit_code is None


async def test_end_without_the_line_is_told_with_the_output() -> None:
    child = await python(ECHO + "sys.exit(3)")
    with pytest.raises(ChildError, match=r"the child ended with exit code 3; it said:\nready on 1\non stderr"):
        await child.line("never said")


async def test_silence_is_told_with_the_output(waiting: Child) -> None:
    await waiting.line("on stderr")
    with pytest.raises(ChildError, match=r"did not say 'never said' within 0.05 s; it said:\nready on 1"):
        await waiting.line("never said", seconds=0.05)


async def test_stop_ends_it_and_may_be_called_again(waiting: Child) -> None:
    await waiting.line("ready")
    assert await waiting.stop() == -15
    assert await waiting.stop() == -15


async def test_stop_does_not_wait_for_a_grandchild_that_holds_the_output() -> None:
    script = "import subprocess\nprocess = subprocess.Popen(['sleep', '20'])\nprint(process.pid, flush=True)\n"
    child = await python(script)
    await child.line(r"^\d+$")
    begin = time.monotonic()
    assert await child.stop() in {0, -15}
    assert time.monotonic() - begin < 10
    os.kill(int(child.log), signal.SIGKILL)


async def test_wait_has_all_the_output() -> None:
    child = await python("for number in range(5000): print(number)")
    assert await child.wait() == 0
    assert child.log.splitlines() == [str(number) for number in range(5000)]


async def test_a_line_beyond_the_limit_does_not_stop_the_reading() -> None:
    child = await python("print('x' * 3_000_000)\nprint('after')")
    assert await child.wait() == 0
    assert child.log.splitlines()[-1] == "after"


async def test_environment_is_the_given_one_only() -> None:
    child = await Child.start("env", [sys.executable, "-c", "import os; print(sorted(os.environ))"], env={"A": "1"})
    await child.wait()
    assert "'A'" in child.log
    assert "HOME" not in child.log
