"""The requirement's tables of LivenessReady and AuthReady, row by row, against real tools on loopback."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import trustme

from connectors.tls.pool import SYSTEM_TRUST
from standalone.probe import main
from tests.e2e.probed import AUTH, LIVENESS, Said, probed_conditions
from tests.peers.fixtures import StartGitServer, StartNginx
from tests.peers.git_server import PASSWORD, USERNAME
from tests.peers.image_registry import start_image_registry
from tests.peers.manifests import Manifest, auth, basic_auth, connector, connector_class, secret, write
from tests.peers.trust import trust

pytestmark = pytest.mark.e2e

CANARY = "canary-77aa"
WELL = Said("True", "", "")
NOTHING = ("True", "NonAuthProbe")
LOGIN = 'Basic {{ printf "%s:%s" .Secret.StringData.username .Secret.StringData.password | b64enc }}'
BASIC = {"name": "basicAuth", "secretType": "kubernetes.io/basic-auth", "optional": True}


def unauthorized(status: int = 401) -> Said:
    return Said("False", "AuthenticationFailed", f"Authentication failed: status code {status}")


def unexpected(status: int) -> Said:
    return Said("False", "UnexpectedStatus", f"status code {status}")


# -- git http-backend behind HTTP Basic, with the class of the catalogue.

GIT_ROWS = [
    pytest.param("demo.git", PASSWORD, WELL, id="the right password"),
    pytest.param("/demo.git/", PASSWORD, WELL, id="slashes around the repository"),
    pytest.param("demo.git", CANARY, unauthorized(), id="a wrong password"),
    pytest.param("demo.git", None, unauthorized(), id="no credential where one is needed"),
    pytest.param("nope.git", PASSWORD, unexpected(404), id="no such repository"),
    pytest.param(None, PASSWORD, None, id="no repository to check"),
]


@pytest.mark.git
@pytest.mark.parametrize(("repository", "password", "expected"), GIT_ROWS)
@pytest.mark.parametrize("auth_name", ["basicAuth", "basic-auth"])
async def test_git(
    start_git_server: StartGitServer,
    tmp_path: Path,
    auth_name: str,
    repository: str | None,
    password: str | None,
    expected: Said | None,
) -> None:
    server = await start_git_server("")
    params = {"repository": repository} if repository else {}
    made = auth(auth_name, "login" if password else None, **params)
    manifests = [connector("tool", server.address, "git", auth=made)]
    if password:
        manifests.append(basic_auth("login", USERNAME, password))
    conditions = await probed_conditions(tmp_path / "m", *manifests)
    assert conditions[LIVENESS] == WELL, "it asks for a password, so it is there"
    if expected is None:
        assert conditions[AUTH][:2] == NOTHING
    else:
        assert conditions[AUTH] == expected


@pytest.mark.git
async def test_a_secret_that_is_missing_leaves_the_credential_unknown(
    start_git_server: StartGitServer, tmp_path: Path
) -> None:
    server = await start_git_server("")
    made = connector("tool", server.address, "git", auth=auth("basicAuth", "login", repository="demo.git"))
    conditions = await probed_conditions(tmp_path / "m", made)
    assert conditions["SecretReady"][:2] == ("False", "SecretNotFound")
    assert conditions[LIVENESS] == WELL
    assert conditions[AUTH][:2] == ("Unknown", "SecretNotFound")
    assert not any("info/refs" in seen.path for seen in server.seen()), "nobody asked without it"


# -- docker-registry behind htpasswd, with the class of the catalogue.


@pytest.mark.parametrize(
    ("repository", "password", "expected"),
    [
        pytest.param(None, CANARY, WELL, id="the right password"),
        pytest.param(None, "wrong", unauthorized(), id="a wrong password"),
        pytest.param("team/none", CANARY, unexpected(404), id="no such repository"),
        pytest.param(None, None, None, id="anonymous"),
    ],
)
async def test_registry(
    exits: AsyncExitStack, tmp_path: Path, repository: str | None, password: str | None, expected: Said | None
) -> None:
    registry = await start_image_registry(tmp_path / "registry", "robot", CANARY)
    exits.push_async_callback(registry.child.stop)
    params = {"repository": repository} if repository else {}
    made = auth("tokenAuth", "login" if password else None, **params)
    manifests = [connector("tool", registry.address, "oci", auth=made)]
    if password:
        data = {"username": "robot", "password": password}
        manifests.append(secret("login", data, "cpaas.io/distribution-registry-token"))
    conditions = await probed_conditions(tmp_path / "m", *manifests)
    assert conditions[LIVENESS] == WELL
    if expected is None:
        assert conditions[AUTH][:2] == NOTHING
    else:
        assert conditions[AUTH] == expected


# -- nginx, with each way to fail.


def probing(path: str = "/", **fields: Any) -> Manifest:
    """A class that asks `path` of the tool for both conditions, with the credential for the second."""
    headers = [{"name": "Authorization", "value": LOGIN}]
    return connector_class(
        "probing",
        [BASIC],
        livenessProbe={"http": {"path": path, **fields}},
        authProbes=[{"authName": "basicAuth", "probe": {"http": {"path": path, "httpHeaders": headers, **fields}}}],
    )


def tool(address: str) -> list[Manifest]:
    made = connector("tool", address, "probing", auth=auth("basicAuth", "login"))
    return [made, basic_auth("login", "robot", CANARY)]


ANSWERS = r"""
location = /ok { return 200 "ok"; }
location = /teapot { return 418; }
location = /401 { return 401; }
location = /403 { return 403; }
location = /500 { return 500; }
location = /moved { return 302 /ok; }
location = /loop { return 302 /loop; }
location = /nowhere { return 302 ftp://elsewhere.example/; }
location = /up { default_type application/json; return 200 '{"status":"UP"}'; }
location = /down { default_type application/json; return 200 '{"status":"DOWN"}'; }
location = /page { default_type text/html; return 200 "<html>"; }
"""
UP = {"response": {"cel": 'response.body.status == "UP"'}}
LOOP = Said("False", "UnexpectedStatus", "status code 302 after 5 redirects; is it a loop?")
NOT_UP = Said(
    "False", "ExpressionFalse", 'the class\'s check does not hold: response.body.status == "UP" (status code 200)'
)
NGINX_ROWS = [
    # path, fields of the probe, LivenessReady, AuthReady
    ("/ok", {}, WELL, WELL),
    ("/moved", {}, WELL, WELL),
    ("/moved", {"disableRedirect": True}, unexpected(302), unexpected(302)),
    ("/nowhere", {}, unexpected(302), unexpected(302)),
    ("/401", {}, unexpected(401), unauthorized()),
    ("/403", {}, unexpected(403), unauthorized(403)),
    ("/500", {}, unexpected(500), unexpected(500)),
    ("/teapot", {}, unexpected(418), unexpected(418)),
    ("/loop", {}, LOOP, LOOP),
    ("/up", UP, WELL, WELL),
    ("/down", UP, NOT_UP, NOT_UP),
    ("/page", UP, ("False", "ExpressionError"), ("False", "ExpressionError")),
    ("/401", UP, ("False", "ExpressionError"), unauthorized()),
    ("/401", {"response": {"cel": "response.statusCode < 500"}}, WELL, WELL),
    ("/ok", {"response": {"cel": 'response.bodyString == "ok"'}}, WELL, WELL),
    (
        "/ok",
        {"response": {"cel": 'response.bodyString == "x"'}},
        ("False", "ExpressionFalse"),
        ("False", "ExpressionFalse"),
    ),
    ("/{{ .Secret.StringData.nope }}", {}, ("False", "TemplateError"), ("False", "TemplateError")),
]


@pytest.mark.nginx
@pytest.mark.parametrize(("path", "fields", "liveness", "credential"), NGINX_ROWS)
async def test_nginx(
    start_nginx: StartNginx, tmp_path: Path, path: str, fields: dict[str, Any], liveness: Any, credential: Any
) -> None:
    nginx = await start_nginx(ANSWERS)
    conditions = await probed_conditions(tmp_path / "m", probing(path, **fields), *tool(nginx.address))
    assert conditions[LIVENESS][: len(liveness)] == liveness
    assert conditions[AUTH][: len(credential)] == credential
    assert CANARY not in repr(conditions)


def failed(kind: str, rest: str) -> Said:
    return Said("False", "ConnectionFailed", f"{kind}: {rest}")


async def test_refused(tmp_path: Path, unused_tcp_port: int) -> None:
    conditions = await probed_conditions(tmp_path / "m", probing(), *tool(f"http://127.0.0.1:{unused_tcp_port}"))
    expected = failed("connection refused", f"127.0.0.1:{unused_tcp_port} refuses connections; is the tool running?")
    assert conditions[LIVENESS] == conditions[AUTH] == conditions["Ready"] == expected


async def test_a_name_that_does_not_resolve(tmp_path: Path) -> None:
    conditions = await probed_conditions(tmp_path / "m", probing(), *tool("http://nowhere.invalid"))
    assert conditions[LIVENESS].message.startswith("DNS: the name nowhere.invalid ")
    assert conditions[LIVENESS][:2] == conditions[AUTH][:2] == ("False", "ConnectionFailed")


async def _serve(exits: AsyncExitStack, answer: Any) -> str:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await answer(reader, writer)
        except ConnectionError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    exits.callback(server.close)
    return f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def test_a_tool_that_hangs(exits: AsyncExitStack, tmp_path: Path) -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()  # until the other end has gone

    address = await _serve(exits, silent)
    conditions = await probed_conditions(tmp_path / "m", probing(), *tool(address), timeout=0.3)
    place = address.removeprefix("http://")
    assert conditions[LIVENESS] == conditions[AUTH]
    assert conditions[AUTH][:2] == ("False", "ConnectionFailed")
    assert conditions[AUTH].message.startswith(f"timeout: no answer from {place} in time")


@pytest.mark.parametrize("garbage", [b"\x00\xff\x13\x37" * 64, b"SSH-2.0-OpenSSH_9.2\r\n", b"HTTP/9 what\r\n\r\n"])
async def test_garbage(exits: AsyncExitStack, tmp_path: Path, garbage: bytes) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(garbage)
        await writer.drain()

    conditions = await probed_conditions(tmp_path / "m", probing(), *tool(await _serve(exits, answer)))
    assert conditions[LIVENESS][:2] == conditions[AUTH][:2] == ("False", "ConnectionFailed")
    assert conditions[LIVENESS].message.startswith("not HTTP: ")


@pytest.mark.parametrize("cel", ["", "size(response.bodyString) == 65536"])
async def test_a_body_of_10_gib_costs_64_kib(exits: AsyncExitStack, tmp_path: Path, cel: str) -> None:
    sent = 0

    async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10737418240\r\n\r\n")
        piece = b"x" * 65536
        for _ in range(163_840):
            writer.write(piece)
            sent += len(piece)
            await writer.drain()

    kind = probing(response={"cel": cel}) if cel else probing()
    conditions = await probed_conditions(tmp_path / "m", kind, *tool(await _serve(exits, endless)))
    assert conditions[LIVENESS] == conditions[AUTH] == WELL
    assert sent < 64 * 1024 * 1024, "the rest was in the kernel's buffers"


@pytest.mark.nginx
async def test_t25_a_redirect_to_another_origin_gets_no_credential(start_nginx: StartNginx, tmp_path: Path) -> None:
    other = await start_nginx('location / { return 200 "$http_authorization"; }', http=LOGGED, name="other")
    first = await start_nginx(f"location / {{ return 302 {other.address}/login; }}", http=LOGGED, name="first")
    conditions = await probed_conditions(tmp_path / "m", probing(), *tool(first.address))
    assert conditions[LIVENESS] == WELL
    assert conditions[AUTH][:2] == ("False", "UnexpectedStatus")
    assert "no credential is sent" in conditions[AUTH].message
    seen = (await first.logged(2, "seen.log")).split()
    assert seen == ["-", "Basic", "cm9ib3Q6Y2FuYXJ5LTc3YWE="], "the second request of the tool itself had it"
    assert (await other.logged(2, "seen.log")).split() == ["-", "-"]


LOGGED = """
log_format seen '$http_authorization';
access_log seen.log seen;
"""


# -- TLS: which certificate error it was is in the message.


def expired(authority: trustme.CA) -> trustme.LeafCert:
    yesterday = datetime.now(UTC) - timedelta(days=1)
    return authority.issue_cert("localhost", not_before=yesterday - timedelta(days=1), not_after=yesterday)


TLS_ROWS = [
    ("good", "trusted", None),
    ("good", "unknown", "unable to get local issuer certificate"),
    ("expired", "trusted", "certificate has expired"),
    ("misnamed", "trusted", "Hostname mismatch, certificate is not valid for 'localhost'."),
]


@pytest.mark.nginx
@pytest.mark.parametrize(("certificate", "authority", "problem"), TLS_ROWS)
async def test_t22_certificates_are_verified(
    start_nginx: StartNginx, tmp_path: Path, certificate: str, authority: str, problem: str | None
) -> None:
    issuer = trustme.CA()
    leaf = {
        "good": lambda: issuer.issue_cert("localhost"),
        "expired": lambda: expired(issuer),
        "misnamed": lambda: issuer.issue_cert("elsewhere.example"),
    }[certificate]()
    nginx = await start_nginx(ANSWERS, tls=leaf)
    known = trust(issuer) if authority == "trusted" else SYSTEM_TRUST
    conditions = await probed_conditions(tmp_path / "m", probing("/ok"), *tool(nginx.address), trust=known)
    if problem is None:
        assert conditions[LIVENESS] == conditions[AUTH] == WELL
        return
    place = nginx.address.removeprefix("https://")
    hint = "name its CA in spec.caCertSecretRef or have it trusted for all (docs/trust.md), or correct the address"
    expected = failed("TLS", f"the certificate of {place} is not trusted: {problem}; {hint}")
    assert conditions[LIVENESS] == conditions[AUTH] == expected
    assert CANARY not in nginx.access_log


@pytest.mark.git
async def test_t14_the_command_shows_requests_and_no_credential(
    start_git_server: StartGitServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server = await start_git_server("")
    manifests = write(
        tmp_path / "m",
        connector("tool", server.address, "git", auth=auth("basicAuth", "login", repository="demo.git")),
        basic_auth("login", USERNAME, PASSWORD),
    )
    assert await asyncio.to_thread(main, ["tool", str(manifests)], {}) == 0
    out = capsys.readouterr().out
    assert f"GET {server.address}/demo.git/info/refs?service=git-upload-pack" in out
    assert "Authorization: **********" in out
    assert PASSWORD not in out
