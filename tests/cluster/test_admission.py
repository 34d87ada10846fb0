"""Admission at a real API server: what is refused, what is warned of, and what is let through."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import pytest

from connectors.objects.connector_class import RESOLVER_ANNOTATION
from tests.cluster.admission import Reviewed, field_paths
from tests.cluster.installed import GROUP, condition
from tests.peers.cluster_processes import ClusterProcess
from tests.peers.manifests import Manifest, auth, connector, connector_class

pytestmark = [pytest.mark.apiserver, pytest.mark.timeout(120), pytest.mark.asyncio(loop_scope="module")]

ADDRESS = "https://tool.example"
CHECK = [{"authName": "checked", "params": [{"name": "repository", "type": "string"}]}]
RICH = connector_class(
    "rich",
    [
        {"name": "needed", "secretType": "kubernetes.io/basic-auth"},
        {"name": "checked", "secretType": "kubernetes.io/basic-auth", "optional": True},
    ],
    addressExtensions=[{"name": "api", "type": "string"}, {"name": "raw", "type": "string", "default": ""}],
    params=[
        {"name": "must", "type": "string"},
        {"name": "may", "type": "string", "default": "a", "enum": ["a", "b"]},
    ],
    authProbes=CHECK,
)
EXTENSIONS = [{"name": "api", "value": "https://api.tool.example"}]
PARAMS = [{"name": "must", "value": "x"}]


def rich(**spec: Any) -> Manifest:
    """A Connector of class `rich` that breaks no rule but those that `spec` makes it."""
    full = {"addressExtensions": EXTENSIONS, "params": PARAMS, "auth": {"name": "needed", "secretRef": {"name": "s"}}}
    return bare("tool", ADDRESS, "rich", **{**full, **spec})


def bare(name: str, address: str = ADDRESS, class_name: str = "git", **spec: Any) -> Manifest:
    made = connector(name, address, class_name, **spec)
    del made["metadata"]["namespace"]
    return made


def extension(*items: tuple[Any, Any]) -> list[dict[str, Any]]:
    return [{"name": name, "value": value} for name, value in items]


API = ("api", "https://api.tool.example")
CHECKED = {"name": "checked"}
CONNECTORS: list[tuple[Manifest, set[str]]] = [
    (bare("a" * 62), {"metadata.name"}),
    (bare("a.b"), {"metadata.name"}),
    (bare("tool", class_name=""), {"spec.connectorClassName"}),
    (bare("tool", class_name="A/b"), {"spec.connectorClassName"}),
    *[
        (bare("tool", address), {"spec.address"})
        for address in (
            "",
            "tool.example",
            "ftp://tool.example",
            "//tool.example",
            "https://",
            "https://user:password@tool.example",
            "https://tool.example/?a=b",
            "https://tool.example/#a",
            "https://tool.example/a/../b",
            "https://tool.example/a b",
            "https://tool.example:0",
            "https://tool.example:65536",
            "https://tool..example",
            "https://1.2.3",
            "https://[::1",
            "https://" + "a" * 2050,
        )
    ],
    # The four rules of address extensions, and their syntax.
    (rich(addressExtensions=[]), {"spec.addressExtensions"}),
    (rich(addressExtensions=extension(API, ("other", "https://x.example"))), {"spec.addressExtensions[1].name"}),
    (rich(addressExtensions=extension(API, ("api", "https://x.example"))), {"spec.addressExtensions[1].name"}),
    (rich(addressExtensions=extension(("api", ADDRESS))), {"spec.addressExtensions[0].value"}),
    (rich(addressExtensions=extension(("api", "HTTPS://Tool.example:443/"))), {"spec.addressExtensions[0].value"}),
    (rich(addressExtensions=extension(("api", ""))), {"spec.addressExtensions[0].value"}),
    (rich(addressExtensions=extension(("api", "ftp://x"))), {"spec.addressExtensions[0].value"}),
    # Parameters.
    (rich(params=[]), {"spec.params"}),
    (rich(params=extension(("must", "x"), ("other", "x"))), {"spec.params[1].name"}),
    (rich(params=extension(("must", "x"), ("must", "z"))), {"spec.params[1].name"}),
    (rich(params=extension(("must", True))), {"spec.params[0].value"}),
    (rich(params=extension(("must", 1))), {"spec.params[0].value"}),
    (rich(params=extension(("must", ["x"]))), {"spec.params[0].value"}),
    (rich(params=extension(("must", "x"), ("may", "c"))), {"spec.params[1].value"}),
    # Authentication.
    (rich(auth={"name": "other", "secretRef": {"name": "s"}}), {"spec.auth.name"}),
    (rich(auth={"secretRef": {"name": "s"}}), {"spec.auth.name"}),
    (rich(auth={"name": "needed"}), {"spec.auth.secretRef"}),
    (rich(auth={"name": "needed", "secretRef": {"name": ""}}), {"spec.auth.secretRef.name"}),
    (rich(auth={"name": "needed", "secretRef": {"name": "A b"}}), {"spec.auth.secretRef.name"}),
    (rich(auth={"name": "needed", "secretRef": {"name": "s", "namespace": "x"}}), {"spec.auth.secretRef.namespace"}),
    (rich(auth={"name": "needed", "secretRef": {"name": "s", "kind": "Pod"}}), {"spec.auth.secretRef.kind"}),
    (rich(auth=CHECKED), {"spec.auth.params"}),
    (rich(auth={**CHECKED, "params": extension(("repository", 1))}), {"spec.auth.params[0].value"}),
    (
        rich(auth={**CHECKED, "params": extension(("repository", "a"), ("x", "b"))}),
        {"spec.auth.params[1].name"},
    ),
    (rich(caCertSecretRef={"name": ""}), {"spec.caCertSecretRef.name"}),
    (rich(caCertSecretRef={"name": "A b"}), {"spec.caCertSecretRef.name"}),
    # Several at once: all are told.
    (bare("c.d", "", "rich"), {"metadata.name", "spec.address", "spec.addressExtensions", "spec.params"}),
]
"""Each Connector that must not be stored, and the field paths that kubectl must print."""


def typed(**fields: Any) -> Manifest:
    """A class with one authentication type."""
    return connector_class("bad", [{"name": "a", "secretType": "Opaque", **fields}])


def header(name: str, value: str = "{{ .Secret.StringData.a }}") -> Manifest:
    return typed(generator={"headers": [{"name": name, "value": value}]})


VALUE = "spec.auth.types[0].generator.headers[0].value"
NAME = "spec.auth.types[0].generator.headers[0].name"
TWICE = [{"name": "a", "type": "string"}, {"name": "a", "type": "string"}]
HTTP = {"http": {"path": "/"}, "api": {"path": "/"}}
CLASSES: list[tuple[Manifest, set[str]]] = [
    (header("X-Key", "{{ nope }}"), {VALUE}),
    (header("X-Key", "{{ .Secret.StringData.a"), {VALUE}),
    (header("X-Key", '{{ env "HOME" }}'), {VALUE}),
    (header("X-Key", ""), {VALUE}),
    (header("X Key"), {NAME}),
    (header("Host"), {NAME}),
    (header("Proxy-Anything"), {NAME}),
    (typed(generator={"query": [{"name": "a b", "value": "x"}]}), {"spec.auth.types[0].generator.query[0].name"}),
    (connector_class("bad", proxy={"authExtractor": {"rego": "package a"}}), {"spec.proxy.authExtractor.rego"}),
    (connector_class("bad", proxy={"authExtractor": {"header": "Host"}}), {"spec.proxy.authExtractor.header"}),
    (connector_class("bad", proxy={"uri": "no path"}), {"spec.proxy.uri"}),
    (connector_class("bad", proxy={"ref": {"kind": "Pod", "name": "a"}}), {"spec.proxy.ref.kind"}),
    (connector_class("bad", api={"ref": {"kind": "Service", "name": "A"}}), {"spec.api.ref.name"}),
    (connector_class("bad", params=TWICE), {"spec.params[1].name"}),
    (connector_class("bad", params=[{"name": "a", "type": "number"}]), {"spec.params[0].type"}),
    (connector_class("bad", params=[{"name": "a", "type": "string", "default": 1}]), {"spec.params[0].default"}),
    (
        connector_class("bad", params=[{"name": "a", "type": "string", "default": "other", "enum": ["one"]}]),
        {"spec.params[0].default"},
    ),
    (connector_class("bad", addressExtensions=TWICE), {"spec.addressExtensions[1].name"}),
    (
        connector_class("bad", addressExtensions=[{"name": "a/b", "type": "string"}]),
        {"spec.addressExtensions[0].name"},
    ),
    (
        connector_class("bad", addressExtensions=[{"name": "a", "type": "string", "default": "ftp://x"}]),
        {"spec.addressExtensions[0].default"},
    ),
    (connector_class("bad", authProbes=[{"authName": "x"}]), {"spec.authProbes[0].authName"}),
    (connector_class("bad", livenessProbe=HTTP), {"spec.livenessProbe"}),
    (
        {**connector_class("bad"), "metadata": {"name": "bad", "annotations": {RESOLVER_ANNOTATION: "x"}}},
        {f"metadata.annotations[{RESOLVER_ANNOTATION}]"},
    ),
]


def named(cases: Iterable[tuple[Manifest, set[str]]]) -> Iterator[tuple[Manifest, set[str]]]:
    """Each under a name of its own, but for those that are about the name."""
    for number, (manifest, paths) in enumerate(cases):
        name = manifest["metadata"]["name"]
        own = {} if "metadata.name" in paths else {"name": f"{name}-{number}"}
        yield {**manifest, "metadata": manifest["metadata"] | own}, paths


async def test_every_rule_is_refused_with_its_field_path(reviewed: Reviewed, reviewer: ClusterProcess) -> None:
    """One kubectl for the whole table: it goes on behind what is refused, and tells of each in their order."""
    assert (await reviewed.apply(RICH)).ok
    cases = list(named(CONNECTORS + CLASSES))
    names = [manifest["metadata"]["name"] for manifest, _ in cases]
    assert len(set(names)) == len(names)
    stored = [name for name in names if name.startswith("tool-")]
    before = await reviewed.apply(*({**rich(), "metadata": {"name": name}} for name in stored))
    assert before.ok, "what every case differs from: " + before.said
    applied = await reviewed.apply(*(manifest for manifest, _ in cases))
    said = applied.said.split("Error from server ")[1:]
    assert len(said) == len(cases), applied.said
    refused = [
        words.startswith("(Invalid)") and field_paths(words.partition("denied the request: ")[2]) == paths
        for (_, paths), words in zip(cases, said, strict=True)
    ]
    assert not [item for item, well in zip(zip(cases, said, strict=True), refused, strict=True) if not well]
    # Of an object by itself it has words of its own.
    alone = await reviewed.apply(bare(stored[0], "ftp://tool.example"))
    assert not alone.ok
    assert "is invalid" in alone.said
    assert field_paths(alone.said) == {"spec.address"}


async def test_a_class_and_its_connector_in_one_apply(reviewed: Reviewed, reviewer: ClusterProcess) -> None:
    name = f"new-{reviewed.cluster.namespace}"
    one = connector_class(name, addressExtensions=[{"name": "api", "type": "string"}])
    tool = bare("tool", class_name=name, addressExtensions=EXTENSIONS)
    applied = await reviewed.apply(one, tool)
    assert applied.ok, applied.said
    assert "not found" not in applied.said


async def test_a_class_that_has_just_changed_is_what_counts(reviewed: Reviewed, reviewer: ClusterProcess) -> None:
    """Without kubectl between them: the watch tells of the class behind the question about the Connector."""
    name = f"moves-{reviewed.cluster.namespace}"
    assert (await reviewed.apply(connector_class(name))).ok
    path = f"{GROUP}/connectorclasses/{name}"
    said = []
    for number in range(20):
        params = [{"name": f"must-{number}", "type": "string"}]
        given = [{"name": f"must-{number}", "value": "x"}]
        assert (await reviewed.ask("PATCH", path, {"spec": {"params": params}})).status == 200
        made = await reviewed.create(f"tool-{number}", connectorClassName=name, address=ADDRESS, params=given)
        said.append(made.status)
    assert said == [201] * 20


async def test_warnings(reviewed: Reviewed, reviewer: ClusterProcess) -> None:
    missing = await reviewed.apply(bare("tool", class_name="nosuch"))
    assert missing.ok
    assert 'Warning: spec.connectorClassName: connectorclass "nosuch" not found' in missing.said
    clear = await reviewed.apply(bare("clear", "http://tool.example", auth=auth("basicAuth", "login")))
    assert clear.ok
    assert "Warning: spec.address: the credential travels to the tool in clear text" in clear.said


async def test_what_a_class_s_change_and_deletion_mean_is_told(reviewed: Reviewed, reviewer: ClusterProcess) -> None:
    name = f"shared-{reviewed.cluster.namespace}"
    assert (await reviewed.apply(connector_class(name))).ok
    for index in range(12):
        assert (await reviewed.create(f"tool-{index:02}", connectorClassName=name, address=ADDRESS)).status == 201
    await reviewed.cluster.until_ready("tool-11")
    changed = await reviewed.apply(connector_class(name, params=[{"name": "must", "type": "string"}]))
    assert changed.ok, changed.said
    assert f"Warning: Connectors broken by this change of class {name}, and not served any more (12): " in changed.said
    assert f"{reviewed.cluster.namespace}/tool-00" in changed.said
    assert "and 2 more" in changed.said
    gone = await reviewed.run("delete", "connectorclass", name)
    assert gone.ok, gone.said
    assert f"Warning: Connectors not served any more without class {name} (12): " in gone.said


async def test_an_invalid_object_does_not_keep_its_finalizers(reviewed: Reviewed, reviewer: ClusterProcess) -> None:
    name = f"strict-{reviewed.cluster.namespace}"
    assert (await reviewed.apply(connector_class(name))).ok
    held = bare("tool", class_name=name)
    held["metadata"]["finalizers"] = ["example.com/held"]
    assert (await reviewed.apply(held)).ok
    assert (await reviewed.apply(connector_class(name, params=[{"name": "must", "type": "string"}]))).ok
    await reviewed.cluster.until("connectors", "tool", lambda found: condition(found, "Ready")["status"] == "False")
    labelled = await reviewed.run("label", "connector", "tool", "a=b")
    assert labelled.ok, labelled.said
    assert 'Warning: spec.params: lacks "must"' in labelled.said
    assert not (await reviewed.run("patch", "connector", "tool", "--type=merge", "-p", ADDRESS_PATCH)).ok
    assert (await reviewed.run("delete", "connector", "tool", "--wait=false")).ok
    freed = await reviewed.run("patch", "connector", "tool", "--type=merge", "-p", '{"metadata":{"finalizers":null}}')
    assert freed.ok, freed.said
    assert await reviewed.cluster.get("connectors", "tool") is None


ADDRESS_PATCH = '{"spec":{"address":"https://other.example"}}'


async def test_names_that_the_server_makes_are_judged_too(reviewed: Reviewed, reviewer: ClusterProcess) -> None:
    made = {"apiVersion": "connectors.alauda.io/v1alpha1", "kind": "Connector"}
    spec = {"connectorClassName": "git", "address": ADDRESS}
    path = f"{GROUP}/namespaces/{reviewed.cluster.namespace}/connectors"
    fits = await reviewed.ask("POST", path, {**made, "metadata": {"generateName": "tool-"}, "spec": spec})
    assert fits.status == 201, fits
    long = await reviewed.ask("POST", path, {**made, "metadata": {"generateName": "t" * 58}, "spec": spec})
    assert long.status == 422
    assert long.body["details"]["causes"][0]["field"] == "metadata.name"


async def test_a_dry_run_is_judged_and_a_status_is_not(reviewed: Reviewed, reviewer: ClusterProcess) -> None:
    assert (await reviewed.create("tool", dry=True, connectorClassName="git", address="ftp://x")).status == 422
    assert (await reviewed.create("tool", connectorClassName="git", address=ADDRESS)).status == 201
    found = await reviewed.cluster.until_ready("tool")
    rules = [rule for webhook in (await reviewed.configuration())["webhooks"] for rule in webhook["rules"]]
    assert not [name for rule in rules for name in rule["resources"] if "/" in name or "*" in name]
    assert found["status"]["conditions"]


async def test_what_is_too_large_or_too_deep_is_refused_and_harms_nobody(
    reviewed: Reviewed, reviewer: ClusterProcess
) -> None:
    deep: Any = "x"
    for _ in range(900):  # as deep as json.dumps goes
        deep = [deep]
    for value, field in (("x" * 70_000, "spec"), (deep, "spec.params[0].value")):
        params = [{"name": "a", "value": value}]
        answer = await reviewed.create("tool", connectorClassName="git", address=ADDRESS, params=params)
        assert answer.status == 422
        assert field in [cause["field"] for cause in answer.body["details"]["causes"]]
    assert reviewer.child.exit_code is None
    assert (await reviewed.create("tool", connectorClassName="git", address=ADDRESS)).status == 201
