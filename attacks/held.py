"""Bytes that are held for connections whose peers do not take them, before a caller is known (threat 32)."""

from __future__ import annotations

from attacks.attack import Attack, Played, Scene
from attacks.crowd import Crowd, crowd, stay, told

# As much as may be read ahead of a client.
AHEAD = 64 * 1024
BODY = 256 * 1024


async def held(scene: Scene, sent: bytes, *, then: bytes = b"") -> Crowd:
    """A crowd that sends this, and reads nothing, for as long as the scene lasts behind its coming."""
    async with crowd(scene, scene.scale.connections, sent) as made:
        made.send(then)
        await stay(scene.end)
    return made


async def pipelining(scene: Scene) -> Played:
    """Requests upon requests, and no answer is read."""
    request = scene.request("/")
    made = await held(scene, request * (AHEAD // len(request)))
    return Played(_said(made))


async def slow_readers(scene: Scene) -> Played:
    """4 MiB are asked for, and not read."""
    return Played(_said(await held(scene, scene.request("/large"))))


async def stuck_uploads(scene: Scene) -> Played:
    """Bodies for a tool that does not read them."""
    begin = scene.request("/stuck", f"Content-Length: {BODY}", method="PUT")
    return Played(_said(await held(scene, begin, then=bytes(BODY))))


async def unfinished_heads(scene: Scene) -> Played:
    """60 kB of a head, in two pieces, without its end."""
    begin = scene.request("/")[:-2]
    return Played(_said(await held(scene, begin + b"X: " + b"y" * 30_000, then=b"y" * 30_000)))


def _said(made: Crowd) -> str:
    answers = f", {told(made.statuses)}" if made.statuses else ""
    return f"{len(made.transports):,} connections, of which {made.lost:,} were closed{answers}"


ATTACKS = (
    Attack(
        "pipelining",
        32,
        "Clients pipeline 64 KiB of requests each and read no answer.",
        "263 KiB a connection",
        pipelining,
        quick=True,
    ),
    Attack(
        "slow readers",
        32,
        "Clients ask for 4 MiB each and read nothing.",
        "451 MiB for 1,500 of them",
        slow_readers,
    ),
    Attack(
        "stuck uploads",
        32,
        "Clients send 256 KiB each to a tool that reads nothing.",
        "not measured",
        stuck_uploads,
    ),
    Attack(
        "unfinished heads",
        32,
        "Clients send 60 kB of a head each and do not end it.",
        "321 MiB and 5.3 s of CPU for 4,000 of them",
        unfinished_heads,
        quick=True,
    ),
)
