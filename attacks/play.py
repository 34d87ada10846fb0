"""Plays one attack: a proxy of its own, the other tenant's client beside it, the attack, and a look at what is left."""

from __future__ import annotations

import asyncio
import tempfile
from contextlib import AsyncExitStack
from pathlib import Path

import msgspec

from attacks.attack import Attack, CannotPlayError, Played, Scale, Scene, Setting
from attacks.judge import SETTLE, by_piece_alone, settled
from attacks.outcome import Answers, Outcome, State
from attacks.stage import serve_scene
from attacks.watching import cpu_idle, cpu_times
from bench.peers.peer import CannotError
from standalone.child import Child
from standalone.demo import CHECKOUT

IDLE = 0.9
"""The share of CPU that nothing used, above which a machine counts as idle."""
LOOK = 0.5
POLL = 0.25
MORE = 30.0
"""Seconds that an attack may take beyond those that it lasts: to open its connections, and to end."""
TRIES = 3
SAID = 300


async def play(attack: Attack, scale: Scale, workers: int = 1) -> Outcome:
    """Play it; up to TRIES times where nothing but the longest piece is wrong, the best of which counts.

    Two processes on one core's two threads take twice the CPU time: what a busy machine makes of a piece is no fault.
    """
    best = await _once(attack, scale, workers)
    for _ in range(TRIES - 1):
        if not by_piece_alone(best):
            break
        again = await _once(attack, scale, workers)
        best = min(best, again, key=lambda one: one.pieces.longest)
    return best


async def _once(attack: Attack, scale: Scale, workers: int) -> Outcome:
    idle = await _idle()
    async with AsyncExitStack() as exits:
        folder = Path(exits.enter_context(tempfile.TemporaryDirectory(prefix="connectors-attack-")))
        try:
            scene = await (attack.stage or serve_scene)(attack, Setting(exits, folder, scale, workers))
        except CannotPlayError as error:
            return Outcome(attack.name, workers, skipped=str(error).splitlines()[0][:SAID])
        except CannotError as error:
            return Outcome(attack.name, workers, faults=[f"it was not begun: {str(error)[-SAID:]}"])
        return await _outcome(attack, scene, workers, idle=idle)


async def _outcome(attack: Attack, scene: Scene, workers: int, *, idle: bool) -> Outcome:
    await _beside(scene, scene.scale.after)  # what is made once is there before it is measured
    before = await scene.watching.state()
    neighbour = await _neighbour(scene)
    try:
        scene.watching.begin()
        played = await _attack(attack, scene)
    finally:
        await neighbour.stop()
    during, pieces, peak = await _got(neighbour), scene.watching.pieces(), scene.watching.peak()
    after, took = await _settled(scene, before)
    return Outcome(
        attack.name,
        workers,
        played.done,
        during,
        await _beside(scene, scene.scale.after),
        pieces,
        round(peak, 1),
        before,
        after,
        took,
        idle,
        played.faults,
    )


async def _attack(attack: Attack, scene: Scene) -> Played:
    try:
        async with asyncio.timeout(scene.scale.seconds + MORE):
            return await attack.play(scene)
    except TimeoutError:
        return Played("did not end", ["the attack did not come to its end"])


async def _settled(scene: Scene, before: State) -> tuple[State, float | None]:
    """The state once all is as before, and how many seconds that took; None where it took longer than SETTLE."""
    loop = asyncio.get_running_loop()
    begun = loop.time()
    while True:
        state = await scene.watching.state()
        took = loop.time() - begun
        if settled(before, state):
            return state, round(took, 1)
        if took > SETTLE:
            return state, None
        await asyncio.sleep(POLL)


async def _neighbour(scene: Scene) -> Child:
    child = await Child.start("the other tenant", list(scene.neighbour), cwd=CHECKOUT)
    await child.line("^beating$", 30.0)
    return child


async def _got(neighbour: Child) -> Answers:
    return msgspec.json.decode((await neighbour.line(r"^got: (.*)$"))[1], type=Answers)


async def _beside(scene: Scene, seconds: float) -> Answers:
    """What the other tenant gets while nothing else happens."""
    neighbour = await _neighbour(scene)
    await asyncio.sleep(seconds)
    await neighbour.stop()
    return await _got(neighbour)


async def _idle() -> bool:
    before = cpu_times()
    await asyncio.sleep(LOOK)
    return cpu_idle(before, cpu_times()) > IDLE
