"""A worker for tests of what starts workers: it does what the kind of a frame asks for."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
import time

from connectors.process.frames import Frames


async def _serve(end: socket.socket) -> int:
    frames = await Frames.over(end)
    while (frame := await frames.receive()) is not None:
        kind, payload = frame
        match kind:
            case 1:
                frames.send(kind, payload)
            case 2:
                return int(payload)
            case 3:
                os.write(end.fileno(), b"\xff" * 100)
            case 4:
                await frames.abort()
                time.sleep(60)  # noqa: ASYNC251 - it hangs
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(_serve(socket.socket(fileno=int(sys.argv[1])))))
