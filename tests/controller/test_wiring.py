from __future__ import annotations

from pathlib import Path

import pytest

from connectors.cluster_process import ClusterProcess, ClusterSettings
from connectors.kube.access import Access
from connectors.kube.settings import ClusterOptions
from connectors.process.parsers import HostPort
from controller.admission.admission import AdmissionSettings
from controller.controller import ControllerSettings
from controller.leader import Candidate
from controller.wiring import build_admission, build_controller


def settings(folder: Path) -> ClusterSettings:
    return ClusterSettings("controller", Access(folder / "none"), ClusterOptions(admin=HostPort("127.0.0.1", 0)))


@pytest.mark.parametrize(("candidate", "leads"), [(None, True), (Candidate("me", "system"), False)])
async def test_who_competes_must_win_first(candidate: Candidate | None, leads: bool, tmp_path: Path) -> None:
    process = ClusterProcess(settings(tmp_path))
    build_controller(process, ControllerSettings(), candidate)
    families = {family.name: family for family in process.registry.collect()}
    assert [sample.value for sample in families["connectors_controller_leader"].samples] == [float(leads)]
    watched = {sample.labels["resource"] for sample in families["connectors_controller_watch_connected"].samples}
    assert watched == {"connectors", "connectorclasses", "configmaps", "secrets", "services"}


async def test_the_webhooks_watches_are_told_of_too(tmp_path: Path) -> None:
    process = ClusterProcess(settings(tmp_path))
    admission = build_admission(process, AdmissionSettings(HostPort("127.0.0.1", 0)))
    families = {family.name: family for family in process.registry.collect()}
    watched = {sample.labels["resource"] for sample in families["connectors_controller_watch_connected"].samples}
    assert "validatingwebhookconfigurations" in watched
    assert "connectors_controller_admission_requests" in families
    assert admission.missing()
