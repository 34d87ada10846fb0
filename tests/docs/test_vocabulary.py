"""Flags, reasons and metric families: all of them documented, and nothing documented that there is not."""

from __future__ import annotations

import inspect
import json
import re

import msgspec
import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.core import Metric

from connectors.expressions.functions import FUNCTIONS
from connectors.http.message import HOP_BY_HOP
from connectors.kube.access import Access
from connectors.kube.client import KubeClient
from connectors.kube.metrics import KubeMetrics
from connectors.objects.conditions import ConditionStatus, ConditionType
from connectors.objects.metadata import API_VERSION
from connectors.objects.reasons import HTTP_STATUS, ConditionReason, Reason
from connectors.process.clock import now
from connectors.process.declaration import PREFIX, Setting, settings_of
from connectors.rules.connector_class import _NOT_GENERATED
from connectors.sources.directory import builtin_classes
from connectors.sources.feature_flags import FLAGS
from connectors.trust import Authorities
from controller import authorities
from controller.admission.metrics import AdmissionMetrics
from controller.metrics import ControllerMetrics
from controller.probes.metrics import ProbeMetrics
from controller.probes.outcome import ProbeOutcome, Purpose
from controller.settings import ControllerOptions
from proxy import exchange, relay
from proxy.audit.access_log import AccessLine
from proxy.audit.audit_log import AuditCaller, AuditRecord, UsedSecret
from proxy.metrics import BUCKETS, ProxyAuthorityMetrics, ProxyMetrics
from proxy.settings import ProxyOptions
from proxy.workers import WorkerMetrics
from standalone.cli import COMMANDS
from standalone.get import GetOptions
from standalone.probe import ProbeOptions
from standalone.serve_settings import ServeOptions
from tests.docs.pages import blocks, codes, pages, prose, rows, text

CONFIGURATION = "docs/configuration.md"
REASONS = "docs/reasons.md"
FOREIGN_FLAGS = {
    "--without",  # of pytest in this tree (conftest.py)
    "--subresource",  # kubectl auth can-i
    "--api-audiences",  # kube-apiserver, as the next one
    "--admission-control-config-file",
    "--help",
    "--serve",  # of `connectors demo`, and no setting
    "--dry-run",  # kubectl
    "--raw",  # curl, as the next two
    "--netrc-file",
    "--cacert",
    "--ignore-scripts",  # npm
    "--generate-hashes",  # pip-compile, as the next five
    "--no-header",
    "--no-annotate",
    "--no-emit-index-url",
    "--no-emit-find-links",
    "--no-emit-trusted-host",
}
COMMANDS_WITH_SETTINGS: dict[str, list[Setting[object]]] = {
    "connectors serve PATH...": list(settings_of(ServeOptions())),
    "python -m proxy": list(settings_of(ProxyOptions())),
    "python -m controller": list(settings_of(ControllerOptions())),
    "connectors get [connectors|connectorclasses] [NAME]": list(settings_of(GetOptions())),
    "connectors probe NAME [PATH...]": list(settings_of(ProbeOptions())),
}
COMMAND_IDS = ["serve", "proxy", "controller", "get", "probe"]


@pytest.mark.parametrize(("heading", "settings"), COMMANDS_WITH_SETTINGS.items(), ids=COMMAND_IDS)
def test_settings(heading: str, settings: list[Setting[object]]) -> None:
    documented = {codes(row[0])[0]: row for row in rows(CONFIGURATION, heading)}
    assert documented.keys() == {setting.flag for setting in settings}
    for setting in settings:
        flag, variable, default, meaning = documented[setting.flag]
        assert codes(flag)[1:] == ([setting.short] if setting.short else [])
        assert codes(variable) == [setting.variable]
        assert codes(default)[:1] == [setting.default] or not setting.default
        assert meaning


@pytest.mark.parametrize("settings", COMMANDS_WITH_SETTINGS.values(), ids=COMMAND_IDS)
def test_examples_and_defaults_are_accepted(settings: list[Setting[object]]) -> None:
    for setting in settings:
        setting.parser.parse(setting.example)
        setting.parser.parse(setting.default)
        assert setting.variable == PREFIX + setting.flag[2:].replace("-", "_").upper()
        assert setting.meaning
        assert setting.example


@pytest.mark.parametrize("page", pages())
def test_flags_and_variables_that_are_named_anywhere_exist(page: str) -> None:
    settings = [setting for command in COMMANDS_WITH_SETTINGS.values() for setting in command]
    known = {setting.flag for setting in settings} | FOREIGN_FLAGS
    known |= {setting.negated for setting in settings if setting.negated}
    for code in codes(prose(page)):
        flags = {word.partition("=")[0] for word in code.split() if word.startswith("--")}
        assert flags <= known, f"{page} names {flags - known}"
        if code.startswith("CONNECTORS_"):
            assert code in {setting.variable for setting in settings}, f"{page} names {code}"


def test_every_command_is_named() -> None:
    assert all(f"connectors {command}" in text(CONFIGURATION) for command in COMMANDS)


def test_refusals() -> None:
    documented = {codes(row[0])[0]: row for row in rows(REASONS, "Refusals")}
    assert documented.keys() == {reason.value for reason in Reason}
    for reason, status in HTTP_STATUS.items():
        assert documented[reason][1] == str(status.value)
        assert documented[reason][2]


def test_condition_reasons() -> None:
    documented = {codes(row[0])[0]: row for row in rows(REASONS, "Condition reasons")}
    assert documented.keys() == {reason.value for reason in ConditionReason}
    for row in documented.values():
        assert set(codes(row[1])) <= {kind.value for kind in ConditionType}
        assert codes(row[1])
        assert set(codes(row[2])) <= {status.value for status in ConditionStatus}
        assert row[3]


def labels_of(family: Metric) -> list[str]:
    """Without that of buckets, which every histogram has."""
    names = getattr(family, "_labelnames", None)
    if names is None:
        names = family.samples[0].labels
    return [name for name in names if name != "le"]


def test_metrics() -> None:
    registry = CollectorRegistry()
    ProxyMetrics(registry).auth_answers({"token": {}})
    ControllerMetrics(registry).wrote("services", "create")
    ProxyAuthorityMetrics(registry, Authorities)
    authorities.AuthorityMetrics(registry, Authorities, now)
    AdmissionMetrics(registry).malformed()
    ProbeMetrics(registry).probed(Purpose.LIVENESS, ProbeOutcome(ConditionStatus.TRUE), 0.1)
    WorkerMetrics(registry)
    KubeMetrics(registry, "PREFIX", KubeClient(Access()))
    families = {family.name + "_total" * (family.type == "counter"): family for family in registry.collect()}
    documented = {codes(row[0])[0]: row for row in rows("docs/metrics.md")}
    assert documented.keys() == families.keys()
    for name, row in documented.items():
        assert row[1] == families[name].type
        assert codes(row[2]) == labels_of(families[name])
        assert row[3]


def test_buckets() -> None:
    assert ", ".join(f"{bucket:g}" for bucket in BUCKETS) in text("docs/metrics.md")


def test_builtin_classes() -> None:
    documented = {codes(row[0])[0]: row for row in rows("docs/classes.md", "Connector classes")}
    assert documented.keys() == {identity.name for identity in builtin_classes()}


def test_kinds_and_feature_flags() -> None:
    assert [codes(row[1])[0] for row in rows(CONFIGURATION, "Manifests")] == [API_VERSION, API_VERSION, "v1", "v1"]
    named = {code for code in codes(prose(CONFIGURATION)) if code.startswith("enable-")}
    assert named == FLAGS


def test_ends_without_a_status() -> None:
    sources = "".join(inspect.getsource(module) for module in (exchange, relay))
    endings = set(re.findall(r'(?:_cut\(|ending or )"([a-z ]+)"', sources))
    assert {codes(row[0])[0] for row in rows(REASONS, "Ends without a status")} == endings


def test_access_log() -> None:
    documented = [key for row in rows("docs/operators.md", "Logs") for key in codes(row[1])]
    assert documented == list(AccessLine.__struct_fields__)


def test_audit_log() -> None:
    keys = list(AuditRecord.__struct_fields__)
    documented = {key: row[1] for row in rows("docs/operators.md", "Audit log") for key in codes(row[0])}
    assert list(documented) == keys
    assert set(AuditCaller.__struct_fields__) <= set(codes(documented["caller"]))
    assert set(UsedSecret.__struct_fields__) <= set(codes(documented["secret"]))
    (example,) = blocks("docs/operators.md", "json")
    assert list(json.loads(example.text)) == keys
    msgspec.json.decode(example.text, type=AuditRecord)


def test_template_functions() -> None:
    forms = [code.split()[0] for row in rows("docs/classes.md", "Functions") for code in codes(row[0])]
    assert sorted(forms) == sorted(FUNCTIONS)


def test_headers_that_are_never_passed_on() -> None:
    named = {code.lower().encode() for code in codes(prose("docs/transparency.md"))}
    assert named >= HOP_BY_HOP


def test_headers_that_no_class_may_inject() -> None:
    (row,) = (row for row in rows("docs/validation.md") if "generator.headers[].name" in row[0])
    assert {name.lower() for name in codes(row[1])} == {*_NOT_GENERATED, "proxy-*"}
