"""A real proxy: an attack that costs others nothing is told from one that does."""

from __future__ import annotations

import resource
import sys
from dataclasses import replace

import msgspec
import pytest

from attacks import places, tenants
from attacks.attack import Attack, CannotPlayError, Played, Scale, Scene, Setting
from attacks.crowd import crowd, stay
from attacks.judge import faults
from attacks.play import play

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(sys.platform != "linux", reason="reads /proc"),
    pytest.mark.skipif(resource.getrlimit(resource.RLIMIT_NOFILE)[0] < 1000, reason="raise ulimit -n"),
]

SMALL = Scale(80, 0.5, 0.1)


def attack(name: str, *options: str) -> Attack:
    (found,) = (one for one in (*places.ATTACKS, *tenants.ATTACKS) if one.name == name)
    return replace(found, options=(*found.options, *options))


@pytest.mark.parametrize("workers", [1, 2])
async def test_an_attack_that_is_met(workers: int) -> None:
    outcome = msgspec.structs.replace(await play(attack("idle sockets"), SMALL, workers), idle=False)
    assert faults(outcome) == []
    assert outcome.during.requests > 5
    assert 0.0 < outcome.pieces.longest <= outcome.pieces.round
    assert outcome.before_state.resident <= outcome.peak


async def test_an_attack_that_costs_the_other_tenant_its_requests() -> None:
    """With as many requests for one Connector as there are places, no connection waits, so none makes room."""

    async def insists(scene: Scene) -> Played:
        # Those whose request is not there yet make room for the next ones: some try again until all have begun.
        async with crowd(scene, 40, scene.request("/silent"), reading=True) as made:
            for _ in range(20):
                await made.open(10, scene.request("/silent"))
            await stay(scene.end)
        return Played("all places are taken by requests")

    weak = attack("silent tool", "--max-connections", "40", "--max-requests-per-connector", "40")
    outcome = await play(replace(weak, play=insists), SMALL)
    assert any("requests failed during the attack" in fault for fault in faults(outcome))


async def test_a_proxy_that_does_not_start_is_a_fault() -> None:
    (fault,) = faults(await play(attack("idle sockets", "--no-such-option"), SMALL))
    assert "no-such-option" in fault


async def test_what_the_machine_lacks_is_said_and_no_fault() -> None:
    async def none(attack: Attack, setting: Setting) -> Scene:
        raise CannotPlayError("needs root\nand more")

    outcome = await play(replace(attack("opens"), stage=none), SMALL)
    assert outcome.skipped == "needs root"
    assert faults(outcome) == []
