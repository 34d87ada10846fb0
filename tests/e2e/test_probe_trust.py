"""Probe and proxy say the same of a tool's certificate, since one function makes what both trust (threat 23)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import trustme

from tests.e2e.probed import LIVENESS, TOOL, conditions_once
from tests.peers.fixtures import StartNginx, StartProxy
from tests.peers.manifests import connector, write
from tests.peers.proxy_process import ProxyProcess

pytestmark = [pytest.mark.e2e, pytest.mark.nginx]


async def probed(proxy: ProxyProcess) -> Mapping[str, Any]:
    """LivenessReady, once it was probed."""
    return (await conditions_once(proxy, TOOL, lambda now: now[LIVENESS]["status"] != "Unknown"))[LIVENESS]


async def proxied(proxy: ProxyProcess) -> tuple[int, str]:
    async with aiohttp.ClientSession() as session, session.get(proxy.path_form("tool")) as answer:
        return answer.status, answer.headers.get("X-Connectors-Reason", "")


CERTIFICATES = [
    # name in the certificate, whether its authority is trusted, whether the tool can be used
    ("localhost", True, True),
    ("localhost", False, False),
    ("elsewhere.example", True, False),
]


@pytest.mark.parametrize("case", CERTIFICATES)
async def test_t23_probe_and_proxy_trust_the_same(
    tmp_path: Path,
    start_nginx: StartNginx,
    start_proxy: StartProxy,
    authority: trustme.CA,
    case: tuple[str, bool, bool],
) -> None:
    name, trusted, well = case
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    nginx = await start_nginx("location / { return 200; }", tls=authority.issue_cert(name))
    manifests = write(tmp_path / "manifests", connector("tool", nginx.address))
    env = {"SSL_CERT_FILE": str(tmp_path / "ca.pem")} if trusted else {}
    proxy = await start_proxy(manifests, "--probe-interval", "60s", env=env)
    condition, traffic = await probed(proxy), await proxied(proxy)
    if well:
        assert (condition["status"], traffic) == ("True", (200, ""))
    else:
        assert (condition["status"], condition["reason"]) == ("False", "ConnectionFailed")
        assert condition["message"].startswith("TLS: ")
        assert traffic == (502, "UpstreamTLS")
