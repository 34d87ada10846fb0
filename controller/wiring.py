"""Builds every object of the controller, in one place; nothing here is a singleton."""

from __future__ import annotations

import random

from connectors.cluster_process import ClusterProcess
from connectors.dial.dialer import Dialer
from connectors.snapshot import Snapshot
from controller.admission.admission import Admission, AdmissionSettings
from controller.admission.judges import JudgeProcesses
from controller.admission.metrics import AdmissionMetrics
from controller.admission.webhook import ReviewSources
from controller.authorities import AuthorityMetrics
from controller.controller import Controller, ControllerSettings, Surroundings
from controller.leader import Candidate, Leadership, LeaseElection, OnlyReplica
from controller.metrics import ControllerMetrics
from controller.probes.client import ProbeClient
from controller.probes.metrics import ProbeMetrics


def build_controller(process: ClusterProcess, settings: ControllerSettings, candidate: Candidate | None) -> Controller:
    """A controller that works with what `process` follows. `candidate` None: no other replica competes."""
    chance = random.SystemRandom().random
    leadership: Leadership = OnlyReplica()
    if candidate is not None:
        leadership = LeaseElection(process.client, candidate, process.clock, chance)
    dialer = Dialer(settings.dialing, own_services=settings.platform.own_services)

    def follow(snapshot: Snapshot) -> None:
        dialer.contexts.keep_only(snapshot.client_tls)
        dialer.keep_off(snapshot.own_addresses)

    process.store.subscribe(follow)
    sender = ProbeClient(dialer, settings.published)
    process.on_identity(sender.identify)
    AuthorityMetrics(process.registry, lambda: process.store.authorities, process.clock.now)
    around = Surroundings(process.client, process.source, process.store, leadership, process.clock, chance, sender)
    controller = Controller(around, settings, ControllerMetrics(process.registry), ProbeMetrics(process.registry))
    for reflector in controller.services.reflectors:
        process.kube_metrics.follow(reflector)
    return controller


def build_admission(process: ClusterProcess, settings: AdmissionSettings) -> Admission:
    """The webhook, which every replica serves, leader or not."""
    judges = JudgeProcesses()
    metrics = AdmissionMetrics(process.registry, lambda: judges.restarts)
    around = ReviewSources(process.client, process.source, process.store, process.clock, judges)
    admission = Admission(around, judges, settings, metrics)
    for reflector in admission.reflectors:
        process.kube_metrics.follow(reflector)
    return admission
