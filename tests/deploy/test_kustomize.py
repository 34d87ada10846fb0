"""deploy/ as it is rendered: valid against the APIs' own schemas, hardened, and complete."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml

from connectors.objects.names import EXEMPT_NAMESPACE
from connectors.process.parsers import HostPort
from connectors.sources.directory import builtin_classes
from connectors.sources.feature_flags import FLAGS
from controller.admission.admission import PATH, SERVICE, SHUTDOWN, AdmissionSettings
from controller.admission.rotation import CONFIGURATION, SECRET
from controller.admission.webhook import BODY_SECONDS, DEADLINE
from controller.settings import ControllerOptions
from tests.deploy.crds import ROOT
from tests.deploy.kubernetes_models import is_builtin, violations
from tests.deploy.rendered import COMPONENTS, DEPLOY, Manifest, of_kind, only, overlay, render
from tests.docs.pages import blocks
from tests.peers.kubectl import Kubectl

NAMESPACE = "connectors-system"
DEPLOYMENTS = {"connectors-proxy": "proxy", "connectors-controller-manager": "controller"}
FOREIGN = {"Certificate", "ConnectorClass", "Issuer", "ServiceMonitor"}
CLUSTER_WIDE = {
    "ClusterRole",
    "ClusterRoleBinding",
    "ConnectorClass",
    "CustomResourceDefinition",
    "Namespace",
    "ValidatingWebhookConfiguration",
}
DRAIN_SECONDS = 30
PRESTOP_SECONDS = 5


@pytest.fixture(scope="module")
def rendered_base(kubectl: str, tmp_path_factory: pytest.TempPathFactory) -> list[Manifest]:
    return render(Kubectl(kubectl, tmp_path_factory.mktemp("base")), DEPLOY)


@pytest.fixture(scope="module")
def rendered_everything(kubectl: str, tmp_path_factory: pytest.TempPathFactory) -> list[Manifest]:
    folder = tmp_path_factory.mktemp("everything")
    return render(Kubectl(kubectl, folder), overlay(folder / "overlay"))


@pytest.fixture
def base(rendered_base: list[Manifest]) -> list[Manifest]:
    """A copy: tests may change it."""
    return deepcopy(rendered_base)


@pytest.fixture
def everything(rendered_everything: list[Manifest]) -> list[Manifest]:
    """The base with all components."""
    return deepcopy(rendered_everything)


def pod(objects: list[Manifest], deployment: str) -> Manifest:
    found: Manifest = only(objects, "Deployment", deployment)["spec"]["template"]["spec"]
    return found


def container(objects: list[Manifest], deployment: str) -> Manifest:
    (found,) = pod(objects, deployment)["containers"]
    return dict(found)


def test_the_base_lists_what_there_is_and_changes_nothing_of_it() -> None:
    """So that each file can be read, and applied, for itself."""
    for folder in (DEPLOY, DEPLOY / "crds", ROOT / "connectors/classes"):
        (file,) = folder.glob("kustomization.y*ml")
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
        assert content.keys() == {"apiVersion", "kind", "resources"}
        assert all((folder / name).exists() for name in content["resources"])


def test_every_file_is_part_of_something() -> None:
    listed = {
        (file.parent / name).resolve()
        for file in DEPLOY.rglob("kustomization.yaml")
        for name in yaml.safe_load(file.read_text(encoding="utf-8"))["resources"]
    }
    listed.discard(ROOT / "connectors" / "classes")
    assert listed == {path for path in DEPLOY.rglob("*.yaml") if path.name != "kustomization.yaml"}
    assert {path.parent.name for path in DEPLOY.glob("components/*/kustomization.yaml")} == set(COMPONENTS)


def test_the_built_in_classes_are_all_there(base: list[Manifest]) -> None:
    assert of_kind(base, "ConnectorClass").keys() == {identity.name for identity in builtin_classes()}


def test_every_object_fits_its_schema(everything: list[Manifest]) -> None:
    assert {item["kind"] for item in everything if not is_builtin(item)} == FOREIGN
    wrong = {item["metadata"]["name"]: violations(item) for item in everything if is_builtin(item)}
    assert not {name: found for name, found in wrong.items() if found}


BREAKS: list[tuple[str, Any]] = [
    ("spec.replica", 2),
    ("spec.replicas", "2"),
    ("spec.replicas", True),
    ("spec.selector", None),
    ("spec.template.spec.containers", {}),
    ("spec.template.spec.topologySpreadConstraints", [{"maxskew": 1}]),
    ("spec.template.metadata.labels", {"a": 1}),
]


@pytest.mark.parametrize(("path", "value"), BREAKS)
def test_a_broken_object_is_seen(path: str, value: Any, base: list[Manifest]) -> None:
    deployment = only(base, "Deployment", "connectors-proxy")
    *parents, last = path.split(".")
    inner = deployment
    for name in parents:
        inner = inner[name]
    if value is None:
        del inner[last]
    else:
        inner[last] = value
    assert violations(deployment)


def test_namespaces_and_labels(everything: list[Manifest]) -> None:
    for item in everything:
        metadata = item["metadata"]
        assert metadata.get("namespace") == (None if item["kind"] in CLUSTER_WIDE else NAMESPACE)
        assert item["kind"] == "ConnectorClass" or metadata["labels"]["app.kubernetes.io/part-of"] == "connectors"


def test_both_families_where_they_are_asked_for(base: list[Manifest], everything: list[Manifest]) -> None:
    for name in ("connectors-proxy-service", "connectors-webhook-service"):
        assert only(everything, "Service", name)["spec"]["ipFamilyPolicy"] == "PreferDualStack"
        assert "ipFamilyPolicy" not in only(base, "Service", name)["spec"]


@pytest.mark.parametrize("deployment", DEPLOYMENTS)
def test_no_process_listens_on_one_family_alone(deployment: str, base: list[Manifest]) -> None:
    flags = dict(word.split("=", 1) for word in container(base, deployment)["args"] if "=" in word)
    hosts = {value.rpartition(":")[0] for flag, value in flags.items() if "listen" in flag or "admin" in flag}
    assert hosts == {"[::]"}


@pytest.mark.parametrize("deployment", DEPLOYMENTS)
def test_pods_have_no_more_rights_than_they_need(deployment: str, base: list[Manifest]) -> None:
    spec, inner = pod(base, deployment), container(base, deployment)
    assert spec["serviceAccountName"] == deployment
    assert spec["serviceAccountName"] in of_kind(base, "ServiceAccount")
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["runAsUser"] == 65532
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert inner["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert not {"hostNetwork", "hostPID", "hostIPC", "volumes"} & spec.keys()


@pytest.mark.parametrize("deployment", DEPLOYMENTS)
def test_pods_are_watched_bounded_and_spread(deployment: str, base: list[Manifest]) -> None:
    spec, inner = pod(base, deployment), container(base, deployment)
    assert only(base, "Deployment", deployment)["spec"]["replicas"] == 2
    assert inner["name"] == DEPLOYMENTS[deployment]
    probes = {name: inner[f"{name}Probe"]["httpGet"] for name in ("startup", "liveness", "readiness")}
    assert {name: probe["path"] for name, probe in probes.items()} == {
        "startup": "/livez",
        "liveness": "/livez",
        "readiness": "/readyz",
    }
    assert {probe["port"] for probe in probes.values()} == {"admin"}
    assert {port["name"]: port["containerPort"] for port in inner["ports"]}["admin"] == 8081
    assert inner["resources"].keys() == {"requests", "limits"}
    assert inner["resources"]["limits"]["memory"] == "384Mi"
    assert {constraint["whenUnsatisfiable"] for constraint in spec["topologySpreadConstraints"]} == {"ScheduleAnyway"}
    assert inner["env"] == [
        {"name": "CONNECTORS_NAMESPACE", "valueFrom": {"fieldRef": {"fieldPath": "metadata.namespace"}}}
    ]


def test_the_proxy_drains(base: list[Manifest]) -> None:
    inner = container(base, "connectors-proxy")
    assert inner["lifecycle"]["preStop"]["exec"]["command"][-1] == f"import time; time.sleep({PRESTOP_SECONDS})"
    assert pod(base, "connectors-proxy")["terminationGracePeriodSeconds"] > PRESTOP_SECONDS + DRAIN_SECONDS
    assert only(base, "Deployment", "connectors-proxy")["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] == 0


def test_the_service_leads_to_the_traffic_port_of_the_proxy(everything: list[Manifest]) -> None:
    service = only(everything, "Service", "connectors-proxy-service")["spec"]
    assert service["ports"] == [{"name": "http", "port": 80, "targetPort": "http"}]
    labels = only(everything, "Deployment", "connectors-proxy")["spec"]["template"]["metadata"]["labels"]
    assert service["selector"].items() <= labels.items()
    ports = {port["name"]: port["containerPort"] for port in container(everything, "connectors-proxy")["ports"]}
    assert ports == {"http": 8080, "admin": 8081}


def test_the_controller_answers_until_its_endpoint_is_gone(base: list[Manifest]) -> None:
    inner = container(base, "connectors-controller-manager")
    assert inner["lifecycle"]["preStop"]["exec"]["command"][-1] == f"import time; time.sleep({PRESTOP_SECONDS})"
    grace = pod(base, "connectors-controller-manager")["terminationGracePeriodSeconds"]
    assert grace > PRESTOP_SECONDS + SHUTDOWN + BODY_SECONDS + DEADLINE


def test_the_webhooks_lead_to_the_port_of_every_controller(everything: list[Manifest]) -> None:
    service = only(everything, "Service", SERVICE)
    assert service["spec"]["ports"] == [{"name": "webhook", "port": 443, "targetPort": "webhook"}]
    labels = only(everything, "Deployment", "connectors-controller-manager")["spec"]["template"]["metadata"]["labels"]
    assert service["spec"]["selector"].items() <= labels.items()
    inner = container(everything, "connectors-controller-manager")
    assert {port["name"]: port["containerPort"] for port in inner["ports"]} == {"webhook": 9443, "admin": 8081}
    assert f"--webhook-listen={ControllerOptions().webhook}" in inner["args"]
    reference = {"name": SERVICE, "namespace": NAMESPACE, "port": 443, "path": PATH}
    webhooks = only(everything, "ValidatingWebhookConfiguration", CONFIGURATION)["webhooks"]
    assert [webhook["clientConfig"] for webhook in webhooks] == [{"service": reference}] * 2


def test_what_is_asked_about_and_what_happens_without_an_answer(base: list[Manifest]) -> None:
    webhooks = only(base, "ValidatingWebhookConfiguration", CONFIGURATION)["webhooks"]
    asked = {
        webhook["rules"][0]["resources"][0]: (webhook["failurePolicy"], webhook["rules"][0]["operations"])
        for webhook in webhooks
    }
    assert asked == {
        "connectors": ("Fail", ["CREATE", "UPDATE"]),
        "connectorclasses": ("Ignore", ["CREATE", "UPDATE", "DELETE"]),
    }
    assert all(len(webhook["rules"]) == 1 and len(webhook["rules"][0]["resources"]) == 1 for webhook in webhooks)
    assert {webhook["timeoutSeconds"] for webhook in webhooks} == {10}
    assert min(webhook["timeoutSeconds"] for webhook in webhooks) > BODY_SECONDS + DEADLINE
    assert {webhook["sideEffects"] for webhook in webhooks} == {"None"}
    (left_out,) = webhooks[0]["namespaceSelector"]["matchExpressions"]
    assert left_out == {"key": "kubernetes.io/metadata.name", "operator": "NotIn", "values": [EXEMPT_NAMESPACE]}
    assert "namespaceSelector" not in webhooks[1]


def test_the_secret_for_certificates_is_shipped_empty(base: list[Manifest]) -> None:
    secret = only(base, "Secret", SECRET)
    assert not {"data", "stringData"} & secret.keys()


def test_cert_manager_takes_the_certificates_over(everything: list[Manifest], tmp_path: Path) -> None:
    assert not [item for item in everything if (item["kind"], item["metadata"]["name"]) == ("Secret", SECRET)]
    configuration = only(everything, "ValidatingWebhookConfiguration", CONFIGURATION)
    inject = configuration["metadata"]["annotations"]["cert-manager.io/inject-ca-from"]
    certificate = only(everything, "Certificate", "connectors-webhook")
    assert inject == f"{NAMESPACE}/{certificate['metadata']['name']}"
    settings = AdmissionSettings(HostPort("127.0.0.1", 0))
    assert set(certificate["spec"]["dnsNames"]) <= settings.all_names
    spec, inner = (
        pod(everything, "connectors-controller-manager"),
        container(everything, "connectors-controller-manager"),
    )
    (volume,) = spec["volumes"]
    assert volume["secret"]["secretName"] == certificate["spec"]["secretName"]
    (mount,) = inner["volumeMounts"]
    assert (mount["name"], mount["readOnly"]) == (volume["name"], True)
    assert f"--webhook-cert-dir={mount['mountPath']}" in inner["args"]
    assert volume["secret"]["defaultMode"] == 0o440


def test_the_admin_port_is_opened_for_monitoring_only(base: list[Manifest], everything: list[Manifest]) -> None:
    def rules(objects: list[Manifest]) -> dict[str, set[int]]:
        found = {name: item["spec"].get("ingress", []) for name, item in of_kind(objects, "NetworkPolicy").items()}
        return {name: {port["port"] for rule in ingress for port in rule["ports"]} for name, ingress in found.items()}

    assert rules(base) == {"connectors-proxy": {8080}, "connectors-controller-manager": {9443}}
    assert rules(everything) == {**rules(base), "connectors-metrics": {8081}}


def test_the_autoscaler_owns_the_number_of_proxies(everything: list[Manifest]) -> None:
    assert "replicas" not in only(everything, "Deployment", "connectors-proxy")["spec"]
    assert only(everything, "HorizontalPodAutoscaler", "connectors-proxy")["spec"]["minReplicas"] == 2
    assert of_kind(everything, "PodDisruptionBudget").keys() == set(DEPLOYMENTS)


def test_monitoring_finds_both_admin_ports(everything: list[Manifest]) -> None:
    monitor = of_kind(everything, "ServiceMonitor")["connectors"]["spec"]
    chosen = {
        name: item
        for name, item in of_kind(everything, "Service").items()
        if monitor["selector"]["matchLabels"].items() <= item["metadata"]["labels"].items()
    }
    assert chosen.keys() == {"connectors-proxy-metrics", "connectors-controller-metrics"}
    assert all(item["spec"]["ports"][0]["targetPort"] == "admin" for item in chosen.values())
    assert {item["spec"]["ports"][0]["name"] for item in chosen.values()} == {monitor["endpoints"][0]["port"]}


def test_all_flags_are_off(base: list[Manifest]) -> None:
    assert only(base, "ConfigMap", "connectors-config")["data"] == dict.fromkeys(sorted(FLAGS), "false")


@pytest.mark.parametrize("text", [block.text for block in blocks("docs/cluster.md", "yml")])
def test_the_overlays_of_the_docs(text: str, offline_kubectl: Kubectl, tmp_path: Path) -> None:
    objects = render(offline_kubectl, overlay(tmp_path / "overlay", text))
    assert not [found for item in objects if is_builtin(item) for found in violations(item)]
    assert "example" in container(objects, "connectors-proxy")["image"]
    assert only(objects, "ConfigMap", "connectors-config")["data"]["enable-custom-ca-certs"] == "true"


@pytest.mark.parametrize("text", [block.text for block in blocks("docs/controller.md", "yml")])
def test_the_patch_that_closes_the_webhook_s_port_to_others(
    text: str, offline_kubectl: Kubectl, tmp_path: Path
) -> None:
    objects = render(offline_kubectl, overlay(tmp_path / "overlay", f"resources:\n  - path/to/deploy\n{text}"))
    policy = only(objects, "NetworkPolicy", "connectors-controller-manager")
    assert not violations(policy)
    (rule,) = policy["spec"]["ingress"]
    assert rule["ports"][0]["port"] == 9443
    assert rule["from"][0]["ipBlock"]["cidr"]
