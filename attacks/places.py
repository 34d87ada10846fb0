"""One client takes every connection (threat 33)."""

from __future__ import annotations

import asyncio
import os
from contextlib import suppress

from attacks.attack import Attack, Played, Scene
from attacks.crowd import AT_ONCE, PROXY, crowd, stay

# The first five bytes of a TLS record that holds a ClientHello of 512 bytes, and half of it.
HALF_HELLO = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(245)


async def idle_sockets(scene: Scene) -> Played:
    """More connections than there are places, which say nothing."""
    async with crowd(scene, scene.scale.connections * 5 // 4, b"", reading=True) as made:
        await stay(scene.end)
    return Played(f"{len(made.transports):,} connections, of which {made.lost:,} were closed")


async def opens(scene: Scene) -> Played:
    """Connections that are opened and reset, as fast as it goes."""
    end, loop, opened = scene.end, asyncio.get_running_loop(), 0

    async def one() -> None:
        nonlocal opened
        while loop.time() < end:
            with suppress(OSError):
                transport, _ = await loop.create_connection(asyncio.Protocol, PROXY, scene.port)
                transport.abort()
                opened += 1

    await asyncio.gather(*(one() for _ in range(AT_ONCE)))
    return Played(f"{opened:,} connections, {opened / scene.scale.seconds:,.0f} a second")


async def half_handshakes(scene: Scene) -> Played:
    """Half a ClientHello, or what is none."""
    async with crowd(scene, scene.scale.connections, HALF_HELLO, reading=True) as made:
        await made.open(scene.scale.connections // 4, b"\x16\x03\x01\x01\x00" + os.urandom(256))
        await stay(scene.end)
    return Played(f"{len(made.transports):,} connections, of which {made.lost:,} were closed")


ATTACKS = (
    Attack(
        "idle sockets",
        33,
        "One client opens a quarter more connections than `--max-connections` allows, and says nothing.",
        "all other clients locked out for 72 s",
        idle_sockets,
        options=("--max-connections", "{connections}"),
        quick=True,
    ),
    Attack(
        "opens",
        33,
        "One client opens and resets connections as fast as it can.",
        "not measured",
        opens,
    ),
    Attack(
        "half handshakes",
        33,
        "One client begins TLS handshakes, and does not go on.",
        "not measured",
        half_handshakes,
        options=("--max-connections", "{connections}"),
        tls=True,
    ),
)
