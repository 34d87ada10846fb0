"""What was remembered ends with what it was made of: objects that change, names that move (invariants 4, 6, 9, 11)."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from typing import Any

import pytest
import trustme

from connectors.dial.dial_settings import DialSettings
from connectors.dial.dialer import Dialer
from connectors.dial.guard import DialGuard, parse_networks
from connectors.dial.resolver import NameResolver
from tests.peers.answering_tool import Reply
from tests.peers.dialogue import OK, Dialogue, get, message, seen
from tests.peers.manifests import Manifest, auth, bearer_token, caller_token, connector, connector_class, secret
from tests.peers.raw_upstream import RawUpstream, answering
from tests.peers.trust import pem
from tests.proxy.transcripts.conftest import Talk
from tests.proxy.transcripts.remembering.dialogues import known
from tests.proxy.transcripts.remembering.requests import (
    CALLERS,
    KEYED,
    SECOND,
    TOKEN,
    asking,
    bearer,
    objects,
)
from tests.proxy.transcripts.remembering.scene import ONE_LOOP, Objects, Same, Scene, Stage, prime

EMPTY = b"Content-Length: 0"
KNOWN = asking(b"/x", bearer(), b"PRIVATE-TOKEN: x", b"X-Own: y")
TOOLS_CA = trustme.CA()
"""Which no system trusts."""
Change = Callable[[tuple[Manifest, ...]], Sequence[Manifest]]
FLAGS = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": {"name": "connectors-config"},
    "data": {"enable-custom-ca-certs": "true", "enable-connector-proxy-permissions": "true"},
}


def without(*names: str) -> Change:
    """The objects of these names are gone."""
    return lambda all_: [item for item in all_ if item["metadata"]["name"] not in names]


def with_(*more: Manifest) -> Change:
    """These come, or stand in the place of what bears their name and kind."""

    def change(all_: tuple[Manifest, ...]) -> Sequence[Manifest]:
        replaced = {(item["kind"], item["metadata"]["name"]) for item in more}
        return [*(item for item in all_ if (item["kind"], item["metadata"]["name"]) not in replaced), *more]

    return change


def of_tool(**spec: Any) -> Change:
    """The spec of Connector `tool` is another one."""
    return lambda all_: [*all_[1:], {**all_[0], "spec": {**all_[0]["spec"], **spec}}]


def as_uid(uid: str) -> Change:
    """Connector `tool` was deleted, and made anew under the same name."""
    return lambda all_: [*all_[1:], {**all_[0], "metadata": {**all_[0]["metadata"], "uid": uid}}]


def at(path: str) -> Change:
    """Connector `tool` has another path prefix."""
    return lambda all_: of_tool(address=all_[0]["spec"]["address"] + path)(all_)


INJECTING = connector_class(
    "generic",
    [{"name": "bearerAuth", "secretType": "connectors.cpaas.io/bearer-token", "generator": {"headers": [
        {"name": "X-Own", "value": "{{ .Secret.StringData.token }}"}]}}],
)  # fmt: skip
"""The same class, whose credential stands elsewhere now: in a field that the caller sends as well."""
CHANGES: dict[str, Change] = {
    "nothing": lambda all_: all_,
    "the Secret's value": with_(bearer_token("one", "rotated")),
    "the Secret's type": with_(secret("one", {"token": "x"})),
    "the Secret's being there": without("one"),
    "the Secret that is referred to": of_tool(auth=auth("bearerAuth", "two")),
    "no Secret any more": of_tool(auth=None),
    "the way of authentication": of_tool(auth=auth("nothing-of-the-class", "one")),
    "the class": of_tool(connectorClassName="git"),
    "the class's being there": of_tool(connectorClassName="none"),
    "what the class injects": with_(INJECTING),
    "a class without a proxy": with_(connector_class("generic", proxy=None)),
    "a class that is broken": with_(connector_class("generic", [{"name": "a"}, {"name": "a"}])),
    "a class elsewhere that declares no field for tokens any more": without("keyed"),
    "a class elsewhere that declares another field for tokens": with_(
        {**KEYED, "spec": {**KEYED["spec"], "proxy": {"authExtractor": {"header": "X-Own"}}}}
    ),
    "the address's path": at("/moved"),
    "the Connector's being there": without("tool"),
    "the Connector's uid": as_uid("another"),
    "the caller's token": with_(caller_token("may", "another.t0ken")),
    "the caller's being there": without("may"),
    "the caller's name": with_(caller_token("may", "gone"), caller_token("new", TOKEN.decode())),
    "the caller's namespace": with_(caller_token("may", "gone"), caller_token("x", TOKEN.decode(), namespace="apart")),
    "another caller's rights": with_(caller_token("may-not", SECOND.decode())),
    "the flags": with_(FLAGS),
}


def changed(change: Change) -> Objects:
    return lambda address: change(objects(address))


@ONE_LOOP
@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
async def test_r06_a_change_is_in_effect_for_the_next_request(stage: Stage, change: Change) -> None:
    async def swap(scene: Scene) -> None:
        scene.swap(changed(change))

    same = Same([KNOWN, asking(b"/y", bearer(SECOND))], [KNOWN, asking(b"/y", bearer(SECOND))], swap)
    await same.check(stage, objects, CALLERS)


@ONE_LOOP
@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
async def test_r04_r06_a_change_back_is_in_effect_as_well(stage: Stage, change: Change) -> None:
    """What was refused is let through when the cause is gone, and the other way round."""

    async def swap_back(scene: Scene) -> None:
        scene.swap(objects)

    before = changed(change)
    same = Same([KNOWN, asking(b"/y", bearer(SECOND))], [KNOWN, asking(b"/y", bearer(SECOND))], swap_back)
    await same.check(stage, before, CALLERS)


@ONE_LOOP
@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
async def test_r06_a_change_between_two_pipelined_requests(stage: Stage, change: Change) -> None:
    """The second one is on its way already when the objects change, and the tool has not answered the first."""
    results = []
    for times in (0, 4):
        scene = await stage(objects, CALLERS)
        await prime(scene, KNOWN, times=times)
        await scene.mark()
        scene.tool.answer = swapping(scene, changed(change))
        await scene.asks(KNOWN + KNOWN, answers=2)
        seen_ = await scene.seen()
        results.append((seen_.tool, seen_.client, await scene.logged(times, times + 2)))
    assert results[0] == results[1]


def swapping(scene: Scene, after: Objects) -> Callable[[bytes], bytes]:
    """An answer that is given behind a change."""

    def answer(_: bytes) -> bytes:
        scene.swap(after)
        return message(
            b"HTTP/1.1 302 Found", b"Location: http://<tool>/y".replace(b"<tool>", scene.tool.authority), EMPTY
        )

    return answer


async def over_another(line: Dialogue, *injected: bytes) -> None:
    """The known request again, over another connection to the tool."""
    line.client_sends(get(b"/x"))
    await line.tool_accepts()
    await line.tool_sees(seen(b"/x", *injected))
    line.tool_sends(OK)
    await line.client_gets(OK)


async def test_r06_t13_a_connector_made_anew_gets_no_connection_of_the_old_one(talk: Talk) -> None:
    line = await talk()
    await known(line, get(b"/x"), seen(b"/x"))
    first = line.tool
    line.proxy.swap(*as_uid("another")((connector("tool", line.upstream.address),)))
    await first.wait_closed()
    await over_another(line)


async def test_r06_t13_a_changed_secret_gets_no_connection_of_the_old_one(talk: Talk) -> None:
    line = await talk(bearer_token("s", "old"), auth=auth("bearerAuth", "s"))
    await known(line, get(b"/x"), seen(b"/x", b"Authorization: Bearer old"))
    first = line.tool
    tool = connector("tool", line.upstream.address, auth=auth("bearerAuth", "s"))
    line.proxy.swap(tool, bearer_token("s", "new"))
    await first.wait_closed()
    await over_another(line, b"Authorization: Bearer new")


async def test_r06_t23_other_cas_count_for_the_next_request(
    talk: Talk, server_tls: ssl.SSLContext, authority: trustme.CA
) -> None:
    """The tool's own CA is trusted by the system; then the Connector names another one beside it."""
    flag = {**FLAGS, "data": {"enable-custom-ca-certs": "true"}}
    line = await talk(flag, tls=server_tls)
    await known(line, get(b"/x"), seen(b"/x"))
    first = line.tool
    of = connector("tool", line.upstream.address, caCertSecretRef={"name": "ca"})
    line.proxy.swap(flag, of, secret("ca", {"ca.crt": pem(trustme.CA())}))
    await first.wait_closed()
    await over_another(line)


class Names:
    """Looks names up: every name leads to `ip`."""

    def __init__(self) -> None:
        self.ip = "127.0.0.1"
        self.asked: list[str] = []

    def __call__(self, host: str, port: int) -> list[str]:
        self.asked.append(host)
        return [self.ip]

    def dialer(self, allowed: str = "127.0.0.1") -> Dialer:
        guard = DialGuard(allow=parse_networks(allowed))
        return Dialer(DialSettings(guard, dns_cache=0), NameResolver(self, cache=0))


def at_name(name: str) -> Objects:
    return lambda address: objects(f"http://{name}:{address.rpartition(':')[2]}")


@pytest.mark.parametrize("denied", ["127.0.0.2", "169.254.169.254"])
async def test_r11_t09_a_new_connection_of_a_known_request_is_looked_up_and_checked(stage: Stage, denied: str) -> None:
    names = Names()
    scene = await stage(at_name("tool.example"), CALLERS, dialer=names.dialer())
    await prime(scene, KNOWN)
    assert names.asked == ["tool.example"]
    names.ip = denied
    await prime(scene, KNOWN)
    assert len(scene.tool.requests) == 8, "the kept connection serves on"
    scene.tool.connections[0].close()
    await scene.tool.connections[0].wait_lost()
    for _ in range(2):
        answer = await scene.asks(KNOWN)
        assert b"X-Connectors-Reason: TargetDenied" in answer
    assert len(scene.tool.connections) == 1
    assert names.asked == ["tool.example"] * 3
    names.ip = "127.0.0.1"
    assert (await scene.asks(KNOWN)).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("denied", ["127.0.0.2", "169.254.169.254"])
async def test_r11_t09_a_repetition_is_looked_up_and_checked(stage: Stage, denied: str) -> None:
    """The kept connection ends before a byte of the answer; by then the name leads elsewhere."""
    names = Names()
    scene = await stage(at_name("tool.example"), CALLERS, dialer=names.dialer())
    await prime(scene, KNOWN)
    names.ip = denied
    scene.tool.answer = lambda _: Reply((), close=True)
    assert b"X-Connectors-Reason: TargetDenied" in await scene.asks(KNOWN)
    assert len(scene.tool.connections) == 1
    assert names.asked == ["tool.example"] * 2


async def test_r11_t23_a_repetition_believes_the_cas_that_count_by_then(talk: Talk) -> None:
    """The kept connection ends before a byte of the answer; by then the Connector's CA is another one."""
    flag = {**FLAGS, "data": {"enable-custom-ca-certs": "true"}}
    mine, other = (secret("ca", {"ca.crt": pem(ca)}) for ca in (TOOLS_CA, trustme.CA()))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    TOOLS_CA.issue_cert("localhost").configure_cert(context)
    line = await talk(flag, mine, tls=context, caCertSecretRef={"name": "ca"})
    await known(line, get(b"/x"), seen(b"/x"))
    line.client_sends(get(b"/x"))
    await line.tool_sees(seen(b"/x"))
    line.proxy.swap(flag, other, connector("tool", line.upstream.address, caCertSecretRef={"name": "ca"}))
    line.tool.close()
    await line.client_is_refused(b"502", b"UpstreamTLS")


async def test_r11_a_name_that_comes_to_lead_to_this_proxy_is_a_loop(stage: Stage, exits: AsyncExitStack) -> None:
    """The tool listens on the proxy's port, at another address."""
    names = Names()
    names.ip = "127.0.0.2"
    scene = await stage(objects, CALLERS, dialer=names.dialer("127.0.0.0/30"))
    there = await exits.enter_async_context(
        RawUpstream(answering(OK), listener=listening("127.0.0.2", scene.proxy.port))
    )
    scene.proxy.swap(*objects(f"http://tool.example:{scene.proxy.port}"))
    await prime(scene, KNOWN)
    names.ip = "127.0.0.1"
    there.connections[0].close()
    await there.connections[0].wait_lost()
    for _ in range(2):
        assert b"X-Connectors-Reason: LoopDetected" in await scene.asks(KNOWN)
    names.ip = "127.0.0.2"
    assert (await scene.asks(KNOWN)).startswith(b"HTTP/1.1 200 ")


def listening(ip: str, port: int) -> socket.socket:
    made = socket.socket()
    made.bind((ip, port))
    return made


async def test_r06_a_connector_that_comes_where_this_one_points_is_a_loop(stage: Stage) -> None:
    """`tool` points at the address under which a Connector `new` is served, once there is one."""
    names = Names()

    def with_new(address: str) -> tuple[Manifest, ...]:
        return (*at_name("c-new.default")(address), connector("new", address))

    scene = await stage(at_name("c-new.default"), CALLERS, dialer=names.dialer())
    await prime(scene, KNOWN)
    scene.swap(with_new)
    for _ in range(3):
        assert b"X-Connectors-Reason: LoopDetected" in await scene.asks(KNOWN)
    scene.swap(at_name("c-new.default"))
    assert (await scene.asks(KNOWN)).startswith(b"HTTP/1.1 200 ")


FOUND = message(b"HTTP/1.1 302 Found", b"Location: http://<tool>/a/y", b"Set-Cookie: k=v; Path=/a", EMPTY)
MAPPED = message(b"HTTP/1.1 302 Found", b"Location: http://<proxy>/y", b"Set-Cookie: k=v; Path=/", EMPTY)


async def test_r09_a_running_exchange_keeps_what_it_was_decided_on(talk: Talk) -> None:
    """The address changes before the tool answers with one of its own: it is that of the address that was asked."""
    line = await talk(prefix="/a")
    old, new = (connector("tool", line.upstream.address + path) for path in ("/a", "/b"))
    await known(line, get(b"/x"), seen(b"/a/x"), FOUND, got=MAPPED)
    line.client_sends(get(b"/x"))
    await line.tool_sees(seen(b"/a/x"))
    line.proxy.swap(new)
    line.tool_sends(FOUND)
    await line.client_gets(MAPPED)
    line.client_sends(get(b"/x"))
    await line.tool_sees(seen(b"/b/x"))
    line.tool_sends(FOUND)
    got = await line.client.read_head()
    assert b"\r\nLocation: http://" + line.filled(b"<tool>") + b"/a/y\r\n" in got, "not the address's own any more"
    line.proxy.swap(old)
    await known(line, get(b"/x"), seen(b"/a/x"), FOUND, got=MAPPED)


async def test_r09_a_connection_goes_back_where_it_is_still_current(talk: Talk) -> None:
    """Objects change, but none that this connection stands for."""
    line = await talk()
    await known(line, get(b"/x"), seen(b"/x"))
    line.client_sends(get(b"/x"))
    await line.tool_sees(seen(b"/x"))
    line.proxy.swap(connector("tool", line.upstream.address), connector("more", line.upstream.address))
    line.tool_sends(OK)
    await line.client_gets(OK)
    await known(line, get(b"/x"), seen(b"/x"))
    assert len(line.upstream.connections) == 1


async def test_r09_the_numbers_of_a_connector_that_is_gone_do_not_come_back(stage: Stage) -> None:
    """A running request counts where its Connector stands when it ends, known or not."""
    results = []
    for times in (0, 4):
        scene = await stage(objects, CALLERS)
        await prime(scene, KNOWN, times=times)
        scene.tool.answer = swapping(scene, changed(without("tool")))
        await scene.asks(KNOWN)
        await scene.settled()
        count = scene.proxy.metric
        labels = {"namespace": "default", "connector": "tool", "connector_class": "generic", "method": "GET"}
        results.append(count("connectors_proxy_requests_total", code="302", **labels))
        scene.tool.answer = lambda _: OK
    assert results[0] == results[1]


async def test_r03_the_same_name_in_another_namespace_is_another_connector(stage: Stage) -> None:
    def both(address: str) -> tuple[Manifest, ...]:
        return (*objects(address), connector("tool", address + "/apart", namespace="apart"))

    apart = asking(b"/x", bearer(), host=b"c-tool.apart.localhost")
    await Same([KNOWN], [apart, KNOWN]).check(stage, both, CALLERS)
