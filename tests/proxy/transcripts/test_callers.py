"""Callers in a cluster, at the edge: what they get while nobody has answered for them, and what the tool never sees."""

from __future__ import annotations

import asyncio
import json
import ssl
from base64 import b64encode
from typing import Any

import pytest
import trustme

from connectors.kube.errors import ForbiddenError, UnavailableError
from connectors.kube.resources import TOKEN_REVIEWS, Resource
from proxy.settings import CallerSettings, ClientAuth, ProxySettings
from proxy.wiring import Cluster
from tests.peers.clock import FakeClock
from tests.peers.dialogue import OK, get, message, seen
from tests.peers.manifests import connector, connector_class, secret
from tests.peers.trust import pem
from tests.proxy.callers.test_tokens import jwt
from tests.proxy.transcripts.conftest import Talk

TOKEN = b"c4ller.t0ken.of.ci"
BEARER = b"Authorization: Bearer " + TOKEN
DECLARING = connector_class("declaring", proxy={"authExtractor": {"header": "PRIVATE-TOKEN"}})
FLAG = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": {"name": "connectors-config"},
    "data": {"enable-custom-ca-certs": "true"},
}
SETTINGS = ProxySettings(client_auth=ClientAuth.KUBERNETES, callers=CallerSettings(failure_rate=1))


class ApiServer:
    """Says who TOKEN is and that it may, once `gate` is open; says what `failure` is instead."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.gate.set()
        self.asked = asyncio.Event()
        self.allowed = True
        self.failure: Exception | None = None
        self.questions = 0

    async def create(self, resource: Resource, body: dict[str, Any], namespace: str = "") -> bytes:
        self.questions += 1
        self.asked.set()
        await self.gate.wait()
        if self.failure:
            raise self.failure
        if resource is TOKEN_REVIEWS:
            known = body["spec"]["token"] == TOKEN.decode()
            user = {"username": "system:serviceaccount:default:builder"} if known else {}
            return json.dumps({"status": {"authenticated": known, "user": user}}).encode()
        return json.dumps({"status": {"allowed": self.allowed}}).encode()


@pytest.fixture
def api() -> ApiServer:
    return ApiServer()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def cluster(api: ApiServer, clock: FakeClock) -> Cluster:
    return Cluster(api, clock)


@pytest.mark.parametrize(
    "fields",
    [
        (BEARER,),
        (b"Authorization: Basic " + b64encode(b"x:" + TOKEN),),
        (b"PRIVATE-TOKEN: " + TOKEN,),
        (b"Authorization: Bearer dummy", b"Private-Token: " + TOKEN),
        (BEARER, b"private_token: " + TOKEN),
        (BEARER, b"X-Job-Token: " + TOKEN),
        (BEARER, b"X-Copy: Token token=" + TOKEN + b"; more"),
    ],
)
async def test_t21_the_token_goes_wherever_it_stood_for_an_anonymous_connector_too(
    talk: Talk, cluster: Cluster, fields: tuple[bytes, ...]
) -> None:
    line = await talk(DECLARING, class_name="declaring", settings=SETTINGS, cluster=cluster)
    line.client_sends(get(b"/x", *fields, b"X: y"))
    await line.tool_sees(seen(b"/x", b"X: y"))
    line.tool_sends(OK)
    await line.client_gets(OK)
    assert TOKEN.decode() not in line.proxy.log.getvalue() + line.proxy.exposition


@pytest.mark.parametrize(("allowed", "token"), [(False, TOKEN), (True, b"another")], ids=["403", "401"])
async def test_t18_nobody_is_told_to_continue_before_the_api_server_has_answered(
    talk: Talk, cluster: Cluster, api: ApiServer, allowed: bool, token: bytes
) -> None:
    line = await talk(settings=SETTINGS, cluster=cluster)
    api.gate.clear()
    api.allowed = allowed
    expect = (b"Expect: 100-continue", b"Content-Length: 4")
    line.client_sends(message(b"PUT /in HTTP/1.1", b"Host: <proxy>", b"Authorization: Bearer " + token, *expect))
    await api.asked.wait()
    assert line.client.received == b""
    assert line.upstream.connections == []
    api.gate.set()
    await line.client_is_refused(b"401" if allowed else b"403", b"Unauthenticated" if allowed else b"Forbidden")
    await line.client_is_closed()
    assert not line.client.received.startswith(b"HTTP/1.1 100")
    assert line.upstream.connections == []


async def test_t18_a_caller_who_may_is_told_so_by_the_tool(talk: Talk, cluster: Cluster, api: ApiServer) -> None:
    line = await talk(settings=SETTINGS, cluster=cluster)
    expect = (b"Expect: 100-continue", b"Content-Length: 4")
    line.client_sends(message(b"PUT /in HTTP/1.1", b"Host: <proxy>", BEARER, *expect))
    await line.tool_sees(message(b"PUT /in HTTP/1.1", b"Host: <tool>", *expect))
    line.tool_sends(message(b"HTTP/1.1 100 Continue"))
    await line.client_gets(message(b"HTTP/1.1 100 Continue"))
    line.client_sends(b"body")
    await line.tool_sees(b"body")
    line.tool_sends(OK)
    await line.client_gets(OK)


async def test_without_a_token_the_api_server_is_not_asked(talk: Talk, cluster: Cluster, api: ApiServer) -> None:
    line = await talk(settings=SETTINGS, cluster=cluster)
    line.client_sends(get(b"/x", b"X-Declared-By-Nobody: " + TOKEN))
    head = await line.client_is_refused(b"401", b"Unauthenticated")
    assert b'\r\nWWW-Authenticate: Basic realm="connectors"\r\n' in head
    assert api.questions == 0


async def test_a_client_that_leaves_while_the_api_server_thinks(talk: Talk, cluster: Cluster, api: ApiServer) -> None:
    line = await talk(settings=SETTINGS, cluster=cluster)
    api.gate.clear()
    line.client_sends(get(b"/x", BEARER))
    await api.asked.wait()
    line.client.transport.abort()
    await line.new_client()
    api.gate.set()
    line.client_sends(get(b"/x", BEARER))
    await line.tool_sees(seen(b"/x"))
    line.tool_sends(OK)
    await line.client_gets(OK)
    assert len(line.upstream.connections) == 1
    assert api.questions == 2, "one review, one access"


@pytest.mark.parametrize("failure", [UnavailableError("away"), ForbiddenError(403, "Forbidden", "no role")])
async def test_nobody_can_be_asked(talk: Talk, cluster: Cluster, api: ApiServer, failure: Exception) -> None:
    line = await talk(settings=SETTINGS, cluster=cluster)
    api.failure = failure
    line.client_sends(get(b"/x", BEARER))
    head = await line.client_is_refused(b"503", b"AuthenticationUnavailable")
    assert b"WWW-Authenticate" not in head, "git drops its stored login at a 401"
    assert line.upstream.connections == []


async def test_who_was_let_in_is_let_in_while_the_api_server_is_away_and_it_is_counted(
    talk: Talk, cluster: Cluster, api: ApiServer, clock: FakeClock
) -> None:
    line = await talk(settings=SETTINGS, cluster=cluster)
    for failure, wait in ((None, 0), (UnavailableError("away"), 11), (UnavailableError("away"), 280)):
        api.failure = failure
        await clock.advance(wait)
        line.client_sends(get(b"/x", BEARER))
        await line.tool_sees(seen(b"/x"))
        line.tool_sends(OK)
        await line.client_gets(OK)
    for question in ("token", "access"):
        name = "connectors_proxy_auth_answers_total"
        assert line.proxy.metric(name, question=question, source="stale") == 2
    await clock.advance(10)
    line.client_sends(get(b"/x", BEARER))
    await line.client_is_refused(b"503", b"AuthenticationUnavailable")


async def test_t33_an_expired_token_costs_no_question_and_hears_why(
    talk: Talk, cluster: Cluster, api: ApiServer
) -> None:
    line = await talk(settings=SETTINGS, cluster=cluster)
    for number in range(20):
        line.client_sends(get(b"/x", b"Authorization: Bearer " + jwt(exp=1_700_000_000, n=number)))
        head = await line.client.read_head()
        body = await line.client.read_exactly(int(head.partition(b"Content-Length: ")[2].partition(b"\r\n")[0]))
        assert head.startswith(b"HTTP/1.1 401 ")
        assert b"the token expired at 2023-11-14T22:13:20Z; send one that is still good" in body
    assert api.questions == 0


async def test_a_flood_of_made_up_tokens_gets_429(talk: Talk, cluster: Cluster, api: ApiServer) -> None:
    line = await talk(settings=SETTINGS, cluster=cluster)
    for number in range(10):
        line.client_sends(get(b"/x", b"Authorization: Bearer made-up-%d" % number))
        await line.client_is_refused(b"401", b"Unauthenticated")
    asked = api.questions
    for number in range(10, 15):
        line.client_sends(get(b"/x", b"Authorization: Bearer made-up-%d" % number))
        head = await line.client_is_refused(b"429", b"TooManyRequests")
        assert b"\r\nRetry-After: 1\r\n" in head
    assert api.questions == asked == 10


async def test_a_flood_over_many_connections_is_one_flood(talk: Talk, cluster: Cluster, api: ApiServer) -> None:
    line = await talk(settings=SETTINGS, cluster=cluster)
    for number in range(12):
        await line.new_client()
        line.client_sends(get(b"/x", b"Authorization: Bearer made-up-%d" % number))
        expected = (b"401", b"Unauthenticated") if number < 10 else (b"429", b"TooManyRequests")
        await line.client_is_refused(*expected)
    assert api.questions == 10


async def test_a_token_that_is_no_sane_json_is_refused_as_any_other(talk: Talk, cluster: Cluster) -> None:
    line = await talk(settings=SETTINGS, cluster=cluster)
    deep = b64encode(b'{"a":' + b"[" * 5000).rstrip(b"=")
    for _ in range(2):
        line.client_sends(get(b"/x", b"Authorization: Bearer h." + deep + b".s"))
        await line.client_is_refused(b"401", b"Unauthenticated")


async def test_the_log_names_who_was_let_in_and_who_was_not(talk: Talk, cluster: Cluster, api: ApiServer) -> None:
    line = await talk(settings=SETTINGS, cluster=cluster)
    api.allowed = False
    line.client_sends(get(b"/x", BEARER))
    await line.client_is_refused(b"403", b"Forbidden")
    await asyncio.sleep(0)
    assert "caller=default/builder " in line.proxy.log.getvalue()


async def test_who_has_waited_for_the_api_server_is_served_with_the_cas_of_now(
    talk: Talk, cluster: Cluster, api: ApiServer, server_tls: ssl.SSLContext, authority: trustme.CA
) -> None:
    """The tool's authority is trusted, by the system, from the beginning; another one comes while the caller waits."""
    line = await talk(settings=SETTINGS, cluster=cluster, tls=server_tls)
    api.gate.clear()
    line.client_sends(get(b"/x", BEARER))
    await api.asked.wait()
    another = secret("ca", {"ca.crt": pem(trustme.CA())})
    line.proxy.swap(FLAG, another, connector("tool", line.upstream.address, caCertSecretRef={"name": "ca"}))
    api.gate.set()
    await line.tool_sees(seen(b"/x"))
    line.tool_sends(OK)
    await line.client_gets(OK)
    idle = line.proxy.metric("connectors_proxy_upstream_connections", state="idle")
    assert idle == 1, "it was made with the CAs of now, so it is kept"
