"""The process that judges: answers what it is asked over its socket. Started by controller/admission/judges.py.

It is given no token, no file and no environment, and nothing of the cluster but what it is asked about.
"""

from __future__ import annotations

import asyncio
import resource
import signal
import socket
import sys
from collections.abc import Sequence

from connectors.process.frames import FrameError, Frames
from controller.admission.judging import Judging, JudgingKind

# Bytes of data (Linux counts anonymous memory), beyond which it ends: the container's 384 MiB are for all processes.
MOST_MEMORY = 256 << 20
# Seconds for one answer after which it ends by itself: its parent, which waits for less, may have been killed.
LAST_RESORT = 10.0


def main(words: Sequence[str]) -> int:
    """Answer until the other end of the socket closes. `words`: the number of the socket's descriptor."""
    resource.setrlimit(resource.RLIMIT_DATA, (MOST_MEMORY, MOST_MEMORY))
    # No dump of what was judged on a disk.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    end = socket.socket(fileno=int(words[0]))
    end.set_inheritable(False)
    return asyncio.run(_serve(end))


async def _serve(end: socket.socket) -> int:
    frames = await Frames.over(end)
    judging = Judging()
    try:
        frames.send(JudgingKind.READY)
        while (asked := await frames.receive()) is not None:
            # SIGALRM ends it, whatever it is in.
            signal.setitimer(signal.ITIMER_REAL, LAST_RESORT)
            frames.send(*judging.answer(*asked))
            signal.setitimer(signal.ITIMER_REAL, 0.0)
            await frames.drained()
    except (FrameError, OSError):
        return 1
    finally:
        await frames.abort()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
