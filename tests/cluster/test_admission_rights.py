"""Threat 7 at a real API server: who connects a Secret to an address must be allowed to read it."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from multidict import CIMultiDict

from tests.cluster.admission import Reviewed, grant
from tests.peers.api_server import ADMIN_TOKEN, ApiServer
from tests.peers.cluster_processes import ClusterProcess
from tests.peers.manifests import Manifest, basic_auth, connector, connector_class

pytestmark = [pytest.mark.apiserver, pytest.mark.timeout(120), pytest.mark.asyncio(loop_scope="module")]

CONNECTORS = {
    "apiGroups": ["connectors.alauda.io"],
    "resources": ["connectors"],
    "verbs": ["get", "list", "create", "update", "patch", "delete"],
}
AUTHOR = "jane"
READER = "joe"


def secrets(*names: str) -> dict[str, Any]:
    rule: dict[str, Any] = {"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]}
    return rule | ({"resourceNames": list(names)} if names else {})


def user(name: str) -> dict[str, str]:
    return {"kind": "User", "name": name}


def tool(name: str = "tool", **spec: Any) -> Manifest:
    full = {
        "auth": {"name": "one", "secretRef": {"name": "login"}},
        "caCertSecretRef": {"name": "ca"},
        "addressExtensions": [{"name": "api", "value": "https://api.tool.example"}],
        "params": [{"name": "may", "value": "a"}],
        **spec,
    }
    made = connector(name, full.pop("address", "https://tool.example"), full.pop("class_name", "two-types"), **full)
    del made["metadata"]["namespace"]
    return made


def class_of(name: str) -> Manifest:
    types = [{"name": kind, "secretType": "kubernetes.io/basic-auth", "optional": True} for kind in ("one", "two")]
    extensions = [{"name": name, "type": "string", "default": ""} for name in ("api", "other")]
    return connector_class(
        name, types, addressExtensions=extensions, params=[{"name": "may", "type": "string", "default": "a"}]
    )


CHANGES: dict[str, Manifest] = {
    "address": tool(address="https://evil.example"),
    "path of the address": tool(address="https://tool.example/other"),
    "extension": tool(addressExtensions=[{"name": "api", "value": "https://evil.example"}]),
    "another extension": tool(addressExtensions=[{"name": "other", "value": "https://evil.example"}]),
    "class": tool(class_name="two-types-too"),
    "type": tool(auth={"name": "two", "secretRef": {"name": "login"}}),
    "Secret": tool(auth={"name": "one", "secretRef": {"name": "other"}}),
    "no CA": tool(caCertSecretRef=None),
    "another CA": tool(caCertSecretRef={"name": "other"}),
    "upstream proxy": tool(metadata={"annotations": {"connectors.cpaas.io/upstream-proxy": "none"}}),
    "a new Connector": tool("new"),
    "a new Connector with a CA alone": tool("new", auth=None),
}
"""What somebody who may write Connectors and read no Secret must not do."""
HARMLESS: dict[str, Manifest] = {
    "parameters": tool(params=[{"name": "may", "value": "b"}]),
    "parameters of the check": tool(auth={"name": "one", "secretRef": {"name": "login"}, "params": []}),
    "the Secret taken away": tool(auth={"name": "one"}, caCertSecretRef=None, params=[]),
    "a new Connector without any": tool("open", auth=None, caCertSecretRef=None),
}


def without_nulls(manifest: Manifest) -> Manifest:
    return {**manifest, "spec": {name: value for name, value in manifest["spec"].items() if value is not None}}


@pytest_asyncio.fixture(loop_scope="module")
async def team(reviewed: Reviewed, reviewer: ClusterProcess) -> Reviewed:
    """A Connector of the admin's, and users who may write Connectors."""
    login = basic_auth("login", "robot", "one")
    del login["metadata"]["namespace"]
    assert (await reviewed.apply(class_of("two-types"), class_of("two-types-too"), login, tool())).ok
    await grant(reviewed, "authors", {"kind": "Group", "name": "authors"}, CONNECTORS)
    return reviewed


async def tried(
    team: Reviewed, manifests: dict[str, Manifest], *, name: str, groups: tuple[str, ...]
) -> dict[str, str]:
    """What the API server says of each that is not allowed, after which the next begins from the same.

    Without kubectl, whose own words test_t07_who_may_not_read_the_secret_cannot_send_it_elsewhere has.
    """
    said: dict[str, str] = {}
    pool = aiohttp.TCPConnector(ssl=team.server.context)
    admin = {"Authorization": f"Bearer {ADMIN_TOKEN}"}
    somebody = CIMultiDict(admin | {"Impersonate-User": name})
    for group in groups:
        somebody.add("Impersonate-Group", group)
    patching = somebody.copy()
    patching.update(PATCH)
    async with aiohttp.ClientSession(team.server.url, connector=pool) as session:
        path = team.cluster.path("connectors", "tool")
        kept = (await team.ask("GET", path)).body["spec"]
        for what, manifest in manifests.items():
            made = without_nulls(manifest)
            if manifest["metadata"]["name"] == "tool":
                data = spec_is(made["spec"], made["metadata"].get("annotations"))
                request = session.patch(path, data=data, headers=patching)
            else:
                request = session.post(team.cluster.path("connectors"), json=made, headers=somebody)
            async with request as answer:
                body = await answer.json()
            if answer.status not in (200, 201):
                assert (answer.status, body["reason"]) == (403, "Forbidden"), body
                said[what] = body["message"]
            async with session.patch(path, data=spec_is(kept, {}), headers=PATCH | admin) as answer:
                assert answer.status == 200
            for name_of_new in ("new", "open"):
                gone = team.cluster.path("connectors", name_of_new)
                async with session.delete(gone, headers=admin) as answer:
                    assert answer.status in (200, 404)
    return said


PATCH = {"Content-Type": "application/json-patch+json"}


def spec_is(spec: dict[str, Any], annotations: dict[str, str] | None = None) -> bytes:
    """A patch (RFC 6902) after which nothing of the spec before is left, nor of annotations where they are given."""
    operations: list[dict[str, Any]] = [{"op": "replace", "path": "/spec", "value": spec}]
    if annotations is not None:
        operations.append({"op": "add", "path": "/metadata/annotations", "value": annotations})
    return json.dumps(operations).encode()


GROUPS = ("authors", "system:authenticated")


async def test_t07_who_may_not_read_the_secret_cannot_send_it_elsewhere(team: Reviewed) -> None:
    said = await tried(team, CHANGES, name=AUTHOR, groups=GROUPS)
    assert said.keys() == CHANGES.keys()
    namespace = team.cluster.namespace
    assert (
        f'spec.auth.secretRef.name: user "jane" may not get secrets "login" in namespace "{namespace}"; '
        "whoever connects a Secret to an address must be allowed to read it" in said["address"]
    )
    assert all("denied the request" in words for words in said.values())
    applied = await team.apply(CHANGES["address"], user=AUTHOR, groups=GROUPS)
    assert not applied.ok
    assert "(Forbidden)" in applied.said
    assert said["address"] in applied.said
    assert 'secrets "ca"' in said["a new Connector with a CA alone"]
    assert 'secrets "other"' in said["Secret"]


async def test_t07_what_leaves_secrets_where_they_go_is_allowed(team: Reviewed) -> None:
    assert await tried(team, HARMLESS, name=AUTHOR, groups=GROUPS) == {}
    labelled = await team.run("label", "connector", "tool", "a=b", f"--as={AUTHOR}", "--as-group=authors")
    assert labelled.ok, labelled.said


async def test_t07_who_may_read_it_may_connect_it(team: Reviewed) -> None:
    await grant(team, "reader", user(READER), secrets("login", "ca", "other"))
    assert await tried(team, CHANGES, name=READER, groups=GROUPS) == {}


async def test_t07_the_right_to_one_secret_is_no_right_to_another(team: Reviewed) -> None:
    await grant(team, "reader-of-one", user(READER), secrets("login", "ca"))
    said = await tried(team, CHANGES, name=READER, groups=GROUPS)
    assert said.keys() == {"Secret", "another CA"}


async def test_t07_rights_through_groups_count(team: Reviewed) -> None:
    await grant(team, "readers", {"kind": "Group", "name": "readers"}, secrets())
    assert await tried(team, CHANGES, name="whoever", groups=(*GROUPS, "readers")) == {}
    assert (await tried(team, CHANGES, name="whoever", groups=GROUPS)).keys() == CHANGES.keys()


async def test_t07_a_right_in_another_namespace_is_none_here(team: Reviewed) -> None:
    elsewhere = f"{team.cluster.namespace}-b"
    await asyncio.to_thread(team.server.create_namespace, elsewhere)
    await grant(team.other(elsewhere), "reader", user("elsewhere"), secrets())
    assert (await tried(team, CHANGES, name="elsewhere", groups=GROUPS)).keys() == CHANGES.keys()


async def test_t07_what_is_being_deleted_is_no_way_around(team: Reviewed) -> None:
    """A finalizer of one's own keeps it, and it is served all the while."""
    held = tool()
    held["metadata"]["finalizers"] = ["example.com/held"]
    options = {"user": AUTHOR, "groups": GROUPS}
    assert (await team.apply(held, user=AUTHOR, groups=GROUPS)).ok
    assert (await team.run("delete", "connector", "tool", "--wait=false", f"--as={AUTHOR}", "--as-group=authors")).ok
    moved = tool(address="https://evil.example")
    moved["metadata"]["finalizers"] = ["example.com/held"]
    applied = await team.apply(moved, **options)  # type: ignore[arg-type]
    assert not applied.ok
    assert 'may not get secrets "login"' in applied.said
    freed = await team.run(
        "patch", "connector", "tool", "--type=merge", "-p", '{"metadata":{"finalizers":null}}',
        f"--as={AUTHOR}", "--as-group=authors",
    )  # fmt: skip
    assert freed.ok, freed.said


async def test_t07_a_service_account_is_asked_about_by_its_own_token(team: Reviewed) -> None:
    namespace = team.cluster.namespace
    server: ApiServer = team.server
    token = await asyncio.to_thread(server.service_account_token, namespace, "builder")
    subject = {"kind": "User", "name": f"system:serviceaccount:{namespace}:builder"}
    await grant(team, "builder", subject, CONNECTORS)
    path = team.cluster.path("connectors", "tool")
    patch = {"spec": {"address": "https://evil.example"}}
    answer = await asyncio.to_thread(server.ask, "PATCH", path, patch, token)
    assert answer.status == 403
    assert f'user "system:serviceaccount:{namespace}:builder" may not get secrets "login"' in answer.body["message"]
    await grant(team, "builder-reads", subject, secrets("login", "ca"))
    answer = await asyncio.to_thread(server.ask, "PATCH", path, patch, token)
    assert answer.status == 200, answer
