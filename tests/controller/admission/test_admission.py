from __future__ import annotations

from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from connectors.kube.access import Access
from connectors.kube.client import KubeClient
from connectors.process.parsers import HostPort
from connectors.sources.cluster import ClusterSource
from connectors.sources.store import SnapshotStore
from controller.admission.admission import Admission, AdmissionSettings, ListenError
from controller.admission.judges import JudgeProcesses
from controller.admission.metrics import AdmissionMetrics
from controller.admission.webhook import ReviewSources
from tests.controller.admission.handshakes import material, pair
from tests.peers.clock import FakeClock
from tests.peers.handshakes import shown

ANYWHERE = HostPort("127.0.0.1", 0)


def admission(settings: AdmissionSettings, folder: Path) -> Admission:
    client, store, clock = KubeClient(Access(folder / "none")), SnapshotStore(), FakeClock()
    judges = JudgeProcesses()
    around = ReviewSources(client, ClusterSource(client, "system", store, clock), store, clock, judges)
    return Admission(around, judges, settings, AdmissionMetrics(CollectorRegistry()))


def test_its_names() -> None:
    settings = AdmissionSettings(ANYWHERE, None, "system", "cluster.example", frozenset({"127.0.0.1"}))
    assert settings.all_names == {
        "connectors-webhook-service.system",
        "connectors-webhook-service.system.svc",
        "connectors-webhook-service.system.svc.cluster.example",
        "127.0.0.1",
    }


def test_its_own_certificate_takes_two_watches_and_is_missing_at_first(tmp_path: Path) -> None:
    made = admission(AdmissionSettings(ANYWHERE), tmp_path)
    watched = [str(reflector.watched) for reflector in made.reflectors]
    assert watched == [
        "secrets in connectors-system with metadata.name=connectors-webhook-cert",
        "validatingwebhookconfigurations with metadata.name=connectors-validation",
    ]
    assert made.missing() == "the webhook's certificate"


async def test_a_mounted_certificate_is_served_and_nothing_is_watched(tmp_path: Path) -> None:
    found = material()
    (tmp_path / "tls.crt").write_bytes(pair(found).chain)
    (tmp_path / "tls.key").write_bytes(pair(found).key.reveal())
    made = admission(AdmissionSettings(ANYWHERE, tmp_path), tmp_path)
    assert made.reflectors == ()
    await made.start()
    running = made.run()
    running.send(None)
    assert made.missing() is None
    assert (await shown(made.port, found.bundle)).encode() == found.leaf
    running.close()
    await made.stop()


async def test_a_port_that_is_taken_is_said_with_its_flag(tmp_path: Path) -> None:
    first = admission(AdmissionSettings(ANYWHERE), tmp_path)
    await first.start()
    second = admission(AdmissionSettings(HostPort("127.0.0.1", first.port)), tmp_path)
    with pytest.raises(ListenError, match="choose another address with --webhook-listen"):
        await second.start()
    await second.stop()
    await first.stop()


async def test_it_can_be_stopped_before_it_began(tmp_path: Path) -> None:
    await admission(AdmissionSettings(ANYWHERE), tmp_path).stop()
