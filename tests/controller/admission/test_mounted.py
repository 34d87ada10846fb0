from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from controller.admission.certificates import Material
from controller.admission.metrics import AdmissionMetrics
from controller.admission.mounted import POLL, Mounted
from controller.admission.serving import Serving
from tests.controller.admission.handshakes import material, pair
from tests.peers.clock import FakeClock


class Volume:
    """A Secret as the kubelet mounts it: files are links through `..data`, which is exchanged as a whole."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._count = 0
        folder.mkdir()

    def put(self, made: Material) -> None:
        self._count += 1
        version = self.folder / f"..{self._count}"
        version.mkdir()
        (version / "tls.crt").write_bytes(pair(made).certificate)
        (version / "tls.key").write_bytes(pair(made).key.reveal())
        fresh = self.folder / "..data_tmp"
        fresh.symlink_to(version.name)
        fresh.rename(self.folder / "..data")
        for name in ("tls.crt", "tls.key"):
            if not (self.folder / name).is_symlink():
                (self.folder / name).symlink_to(f"..data/{name}")


@pytest.fixture
def volume(tmp_path: Path) -> Volume:
    return Volume(tmp_path / "webhook")


@pytest.fixture
def serving() -> Serving:
    return Serving(AdmissionMetrics(CollectorRegistry()))


async def test_it_follows_the_link(volume: Volume, serving: Serving) -> None:
    clock = FakeClock()
    mounted = Mounted(volume.folder, serving, clock)
    running = asyncio.create_task(mounted.run())
    try:
        await clock.advance(0)
        missing = mounted.missing()
        assert missing is not None
        assert str(volume.folder) in missing
        for made in (material(), material()):
            volume.put(made)
            await clock.advance(POLL)
            assert mounted.missing() is None
            assert not serving.serve(pair(made)), "it is served already"
    finally:
        running.cancel()


def test_half_a_change_leaves_the_certificate_before(
    volume: Volume, serving: Serving, caplog: pytest.LogCaptureFixture
) -> None:
    mounted = Mounted(volume.folder, serving, FakeClock())
    before = material()
    volume.put(before)
    mounted.look()
    (volume.folder / "..data" / "tls.crt").write_bytes(pair(material()).certificate)
    with caplog.at_level(logging.DEBUG):
        mounted.look()
        mounted.look()
    assert not serving.serve(pair(before))
    assert mounted.missing() is None
    assert len([record for record in caplog.records if record.levelno == logging.WARNING]) == 1
    assert "PRIVATE" not in caplog.text


def test_the_same_problem_is_warned_of_again_after_a_recovery(
    volume: Volume, serving: Serving, caplog: pytest.LogCaptureFixture
) -> None:
    mounted = Mounted(volume.folder, serving, FakeClock())
    for told in (1, 2):
        (volume.folder / "tls.crt").unlink(missing_ok=True)
        for _ in range(3):
            mounted.look()
        assert caplog.text.count("cannot be used, trying again") == told
        volume.put(material())
        mounted.look()
    assert mounted.missing() is None
