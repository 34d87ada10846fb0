"""The real curl through a real proxy to a real nginx: HTTPS, generated credentials, extensions, redirects."""

from __future__ import annotations

import asyncio
import base64
import json
from dataclasses import dataclass
from pathlib import Path

import pytest
import trustme

from tests.peers.fixtures import StartNginx, StartProxy
from tests.peers.manifests import auth, basic_auth, connector, connector_class, secret, write
from tests.peers.tools import program

pytestmark = [pytest.mark.e2e, pytest.mark.nginx]

ECHO = """
location / { return 200 "$request_method $request_uri host=$http_host authorization=$http_authorization \
private-token=$http_private_token cookie=$http_cookie\\n"; }
location /moved { return 302 /somewhere/else; }
location /away { return 302 https://elsewhere.example/; }
"""
CANARY = "canary-9c41"


@dataclass(frozen=True, slots=True)
class Curl:
    """What the real curl got."""

    status: int
    headers: dict[str, str]
    body: str


async def curl(*arguments: str) -> Curl:
    """Run curl with nothing of the machine's own configuration."""
    command = [program("curl"), "-q", "--silent", "--show-error", "--max-time", "20", "--include", *arguments]
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    head, _, body = out.decode().partition("\r\n\r\n")
    first, *lines = head.split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return Curl(int(first.split()[1]), headers, body)


async def test_https_tool_trusted_by_the_system_store(
    tmp_path: Path,
    start_nginx: StartNginx,
    start_proxy: StartProxy,
    localhost_certificate: trustme.LeafCert,
    authority_file: Path,
) -> None:
    nginx = await start_nginx(ECHO, tls=localhost_certificate)
    manifests = write(
        tmp_path / "manifests",
        connector("tool", f"{nginx.address}/base/", auth=auth("basicAuth", "login")),
        basic_auth("login", "robot", CANARY),
    )
    trusting = await start_proxy(manifests, "--log-level", "debug", env={"SSL_CERT_FILE": str(authority_file)})
    got = await curl(f"{trusting.host_form('tool')}/a%2Fb?x=%20y&&")
    assert got.status == 200
    assert got.body.startswith(f"GET /base/a%2Fb?x=%20y&& host=localhost:{nginx.port} authorization=Basic ")
    assert CANARY not in trusting.child.log


async def test_t22_https_tool_of_an_unknown_authority_is_refused(
    tmp_path: Path, start_nginx: StartNginx, start_proxy: StartProxy, localhost_certificate: trustme.LeafCert
) -> None:
    nginx = await start_nginx(ECHO, tls=localhost_certificate)
    manifests = write(
        tmp_path / "manifests",
        connector("tool", nginx.address, auth=auth("basicAuth", "login")),
        basic_auth("login", "robot", CANARY),
    )
    proxy = await start_proxy(manifests)
    got = await curl(proxy.host_form("tool"))
    assert (got.status, got.headers["x-connectors-reason"]) == (502, "UpstreamTLS")
    assert "unable to get local issuer certificate" in json.loads(got.body)["message"]
    assert nginx.access_log == ""


async def test_t22_certificate_of_another_name_is_refused(
    tmp_path: Path, start_nginx: StartNginx, start_proxy: StartProxy, authority: trustme.CA, authority_file: Path
) -> None:
    nginx = await start_nginx(ECHO, tls=authority.issue_cert("another.example"))
    manifests = write(tmp_path / "manifests", connector("tool", nginx.address, auth=auth("basicAuth")))
    proxy = await start_proxy(manifests, env={"SSL_CERT_FILE": str(authority_file)})
    got = await curl(proxy.host_form("tool"))
    assert (got.status, got.headers["x-connectors-reason"]) == (502, "UpstreamTLS")
    assert "Hostname mismatch" in json.loads(got.body)["message"]


async def test_private_token_of_gitlab_and_an_api_key_in_the_query(
    tmp_path: Path, start_nginx: StartNginx, start_proxy: StartProxy
) -> None:
    nginx = await start_nginx(ECHO)
    key_type = {
        "name": "apiKey",
        "secretType": "Opaque",
        "params": [{"name": "key"}],
        "generator": {"query": [{"name": "api_key", "value": "{{ .Secret.StringData.key }}"}]},
    }
    manifests = write(
        tmp_path / "manifests",
        connector("gitlab", nginx.address, "gitlab", auth=auth("patAuth", "pat")),
        secret("pat", {"token": "glpat-1"}, "connectors.cpaas.io/gitlab-pat-auth"),
        connector_class("keyed", [key_type]),
        connector("keyed", nginx.address, "keyed", auth=auth("apiKey", "key")),
        secret("key", {"key": "a b&c"}),
    )
    proxy = await start_proxy(manifests)
    got = await curl("-H", "PRIVATE-TOKEN: mine", "-H", "Private_Token: mine", f"{proxy.host_form('gitlab')}/api/v4")
    assert " private-token=glpat-1 " in got.body
    assert "authorization=Basic b2F1dGgyOmdscGF0LTE=" in got.body
    got = await curl(f"{proxy.path_form('keyed')}/v1?api_key=mine&q=1&api%5Fkey=mine")
    assert got.body.startswith("GET /v1?q=1&api_key=a%20b%26c ")


async def test_extension_by_path_and_by_header(
    tmp_path: Path, start_nginx: StartNginx, start_proxy: StartProxy
) -> None:
    web, api = await start_nginx(ECHO, name="web"), await start_nginx(ECHO, name="api")
    extension = {"name": "api", "value": f"{api.address}/v3"}
    manifests = write(
        tmp_path / "manifests",
        connector("hub", web.address, "github", auth=auth("patAuth", "pat"), addressExtensions=[extension]),
        secret("pat", {"token": "ghp"}),
    )
    proxy = await start_proxy(manifests)
    basic = "authorization=Basic eC1hY2Nlc3MtdG9rZW46Z2hw"
    for arguments in (
        [f"{proxy.url}/namespaces/default/connectors/hub@api/user"],
        ["-H", "X-Openapi-Address: api", f"{proxy.host_form('hub')}/user"],
        ["-H", f"X-Openapi-Address: {api.address}/v3/", f"{proxy.host_form('hub')}/user"],
    ):
        got = await curl(*arguments)
        assert got.body.startswith(f"GET /v3/user host=127.0.0.1:{api.port} {basic}")
    got = await curl("-H", "X-Openapi-Address: http://169.254.169.254/", proxy.host_form("hub"))
    assert (got.status, got.headers["x-connectors-reason"]) == (400, "AddressNotDeclared")


async def test_t01_redirects_are_mapped_or_left_alone_and_never_followed(
    tmp_path: Path, start_nginx: StartNginx, start_proxy: StartProxy
) -> None:
    nginx = await start_nginx(ECHO)
    manifests = write(
        tmp_path / "manifests",
        connector("tool", nginx.address, auth=auth("basicAuth", "login")),
        basic_auth("login", "robot", CANARY),
    )
    proxy = await start_proxy(manifests)
    got = await curl(f"{proxy.path_form('tool')}/moved")
    assert got.headers["location"] == f"{proxy.path_form('tool')}/somewhere/else"
    got = await curl(f"{proxy.host_form('tool')}/moved")
    assert got.headers["location"] == f"{proxy.host_form('tool')}/somewhere/else"
    got = await curl(f"{proxy.host_form('tool')}/away")
    assert got.headers["location"] == "https://elsewhere.example/"


async def test_t13_cookies_of_one_connector_do_not_reach_another(
    tmp_path: Path, start_nginx: StartNginx, start_proxy: StartProxy
) -> None:
    nginx = await start_nginx('location /set { add_header Set-Cookie "sid=1; Path=/"; return 200 ok; }' + ECHO)
    manifests = write(
        tmp_path / "manifests",
        connector("one", nginx.address, auth=auth("basicAuth")),
        connector("two", nginx.address, auth=auth("basicAuth")),
    )
    proxy = await start_proxy(manifests)
    jar = str(tmp_path / "jar")
    got = await curl("--cookie-jar", jar, f"{proxy.path_form('one')}/set")
    assert got.headers["set-cookie"] == "sid=1; Path=/namespaces/default/connectors/one/"
    assert "cookie=sid=1\n" in (await curl("--cookie", jar, f"{proxy.path_form('one')}/x")).body
    assert "cookie=\n" in (await curl("--cookie", jar, f"{proxy.path_form('two')}/x")).body


async def test_t22_tls_sessions_are_resumed_until_the_secret_changes(
    tmp_path: Path,
    start_nginx: StartNginx,
    start_proxy: StartProxy,
    localhost_certificate: trustme.LeafCert,
    authority_file: Path,
) -> None:
    says = 'keepalive_timeout 0; location / { return 200 "$http_authorization$ssl_session_reused"; }'
    nginx = await start_nginx(says, tls=localhost_certificate)
    tool = connector("tool", nginx.address, auth=auth("basicAuth", "login"))
    manifests = write(tmp_path / "manifests", tool, basic_auth("login", "robot", "old"))
    proxy = await start_proxy(manifests, env={"SSL_CERT_FILE": str(authority_file)})

    async def said() -> tuple[bytes, str]:
        """With which password, and how its handshake went: in full (.) or resumed (r)."""
        body = (await curl(proxy.host_form("tool"))).body.removeprefix("Basic ")
        return base64.b64decode(body[:-1]).partition(b":")[2], body[-1]

    assert [await said() for _ in range(3)] == [(b"old", "."), (b"old", "r"), (b"old", "r")]
    write(manifests, tool, basic_auth("login", "robot", "new"))
    while (answer := await said()) == (b"old", "r"):  # noqa: ASYNC110 - the proxy tells nobody
        await asyncio.sleep(0.05)
    assert [answer, await said()] == [(b"new", "."), (b"new", "r")]
