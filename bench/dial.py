"""What connections cost, in CPU against nginx doing the same: `make bench-dial`.

Both stand before the same tools, one in plain text and one with TLS 1.3, which either keep a connection or close it
behind each answer; both verify the tool's certificate, and both may resume TLS sessions. Both also serve clients over
TLS. Runs are interleaved, and the median of the rounds counts. CPU is the kernel's own count (schedstat) of the one
worker. Prints a Markdown table. Needs nginx, wrk and curl.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import os
import shutil
import statistics
import sys
import tempfile
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

import trustme

from bench.load import LoadError, download, small
from standalone.child import ChildError
from tests.peers.manifests import auth, basic_auth, connector, write
from tests.peers.nginx import Nginx, start_nginx
from tests.peers.proxy_process import start_proxy

GIB = 1024**3
CONNECTIONS = 32
AUTHORIZATION = "Basic " + base64.b64encode(b"robot:secret").decode("ascii")
TOOL = """
    access_log off;
    keepalive_requests 1000000000;
    ssl_protocols TLSv1.2 TLSv1.3;
    if ($http_authorization != "{authorization}") {{ return 401; }}
    location = /kept {{ return 200 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"; }}
    location = /new {{
        keepalive_timeout 0;
        return 200 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    }}
    location = /large {{ root {folder}; }}
"""
PROXY_HTTP = """
    access_log off;
    keepalive_requests 1000000000;
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    proxy_set_header Authorization "{authorization}";
    proxy_max_temp_file_size 0;
    proxy_buffer_size 64k;
    proxy_buffers 16 64k;
    proxy_ssl_protocols TLSv1.2 TLSv1.3;
    proxy_ssl_server_name on;
    proxy_ssl_name localhost;
    proxy_ssl_verify on;
    proxy_ssl_trusted_certificate {folder}/ca.pem;
    upstream plain {{ server 127.0.0.1:{plain}; keepalive 64; keepalive_requests 1000000000; }}
    upstream secure {{ server 127.0.0.1:{secure}; keepalive 64; keepalive_requests 1000000000; }}
"""
PROXY = """
    location / {
        if ($host = "secure") { proxy_pass https://secure; }
        proxy_pass http://plain;
    }
"""


@dataclass(slots=True)
class Contestant:
    """One proxy: where it listens, with what Host its two tools are reached, its process, and what was measured."""

    url: str
    tls_url: str
    hosts: dict[str, str]
    pids: dict[str, int]
    results: dict[str, list[float]] = field(default_factory=dict)

    def median(self, measure: str) -> float:
        """Over all rounds."""
        return statistics.median(self.results[measure])


@dataclass(frozen=True, slots=True)
class Measure:
    """`title` in the table; which listener, tool and path; `bulk`: CPU seconds of one download, else us a request."""

    title: str
    listener: str
    tool: str
    path: str
    bulk: bool = False


MEASURES = (
    Measure("kept connection to a tool, us", "plain", "plain", "/kept"),
    Measure("new connection to a tool each, us", "plain", "plain", "/new"),
    Measure("kept TLS connection to a tool, us", "plain", "secure", "/kept"),
    Measure("new TLS connection to a tool each, us", "plain", "secure", "/new"),
    Measure("kept TLS connection of a client, us", "tls", "plain", "/kept"),
    Measure("1 GiB from a TLS tool, s", "plain", "secure", "/large", bulk=True),
    Measure("1 GiB to a TLS client, s", "tls", "plain", "/large", bulk=True),
)


def cpu(pid: int) -> float:
    """Seconds of CPU that all threads of a process have had, those that have ended left out (Linux)."""
    tasks = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(task.read_text(encoding="ascii").split()[0]) for task in tasks) / 1e9


def table(nginx: Contestant, ours: Contestant) -> str:
    """Markdown, of what both have been measured by."""
    rows = ["| CPU of one worker | nginx | Connectors | nginx / Connectors |", "|---|--:|--:|--:|"]
    for measure in MEASURES:
        if measure.title not in ours.results:
            continue
        theirs, own = nginx.median(measure.title), ours.median(measure.title)
        shape = "{:.2f}" if measure.bulk else "{:.1f}"
        rows.append(f"| {measure.title} | {shape.format(theirs)} | {shape.format(own)} | {theirs / own:.2f} |")
    return "\n".join(rows)


async def measured(contestant: Contestant, measure: Measure, seconds: int) -> float:
    """Microseconds of CPU a request, or seconds a GiB."""
    url = (contestant.tls_url if measure.listener == "tls" else contestant.url) + measure.path
    pid, host = contestant.pids[measure.listener], contestant.hosts[measure.tool]
    before = cpu(pid)
    if measure.bulk:
        await download(url, host)
        return cpu(pid) - before
    run = await small(url, host, CONNECTIONS, seconds)
    return (cpu(pid) - before) / (run.rate * seconds) * 1e6


async def run(rounds: int, seconds: int) -> str:
    """All measures of both, so many rounds; returns the table.

    Raises:
        ChildError: one of the programs did not start.
        LoadError: a run met errors.
    """
    async with AsyncExitStack() as exits:
        folder = Path(exits.enter_context(tempfile.TemporaryDirectory(prefix="connectors-bench-")))
        contestants = await _contestants(exits, folder)
        for number in range(1, rounds + 1):
            print(f"round {number} of {rounds}", file=sys.stderr)
            for measure in MEASURES:
                for contestant in contestants:
                    found = await measured(contestant, measure, seconds)
                    contestant.results.setdefault(measure.title, []).append(found)
        return table(*contestants)


async def _contestants(exits: AsyncExitStack, folder: Path) -> tuple[Contestant, Contestant]:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    os.environ["CURL_CA_BUNDLE"] = str(folder / "ca.pem")  # so that curl believes both proxies
    leaf = authority.issue_cert("localhost")
    with (folder / "large").open("wb") as file:
        file.truncate(GIB)
    tools = {}
    for name, shown in (("plain", None), ("secure", leaf)):
        text = TOOL.format(authorization=AUTHORIZATION, folder=folder)
        tool = await start_nginx(folder / name, text, tls=shown)
        exits.push_async_callback(tool.child.stop)
        tools[name] = tool
    return await _nginx(exits, folder, tools, leaf), await _connectors(exits, folder, tools, leaf)


async def _nginx(exits: AsyncExitStack, folder: Path, tools: dict[str, Nginx], leaf: trustme.LeafCert) -> Contestant:
    ports = {name: tool.port for name, tool in tools.items()}
    http = PROXY_HTTP.format(authorization=AUTHORIZATION, folder=folder, **ports)
    made = {}
    for name, shown in (("plain", None), ("tls", leaf)):
        made[name] = nginx = await start_nginx(folder / f"nginx-{name}", PROXY, http=http, tls=shown)
        exits.push_async_callback(nginx.child.stop)
    pids = {name: int((await nginx.child.line(r"start worker process (\d+)"))[1]) for name, nginx in made.items()}
    return Contestant(made["plain"].address, made["tls"].address, {"plain": "plain", "secure": "secure"}, pids)


async def _connectors(
    exits: AsyncExitStack, folder: Path, tools: dict[str, Nginx], leaf: trustme.LeafCert
) -> Contestant:
    login = auth("basicAuth", "login")
    places = [connector(name, tool.address, auth=login) for name, tool in tools.items()]
    manifests = write(folder / "manifests", *places, basic_auth("login", "robot", "secret"))
    chain, key = folder / "chain.pem", folder / "key.pem"
    chain.write_bytes(b"".join(blob.bytes() for blob in leaf.cert_chain_pems))
    leaf.private_key_pem.write_to_path(str(key))
    made = {}
    for name, options in (("plain", []), ("tls", ["--tls-cert", str(chain), "--tls-key", str(key)])):
        env = {"SSL_CERT_FILE": str(folder / "ca.pem")}
        made[name] = proxy = await start_proxy(manifests, "--access-log", "off", *options, env=env)
        exits.push_async_callback(proxy.child.stop)
    hosts = {name: f"c-{name}.default.svc" for name in tools}
    tls_url = f"https://localhost:{made['tls'].port}"
    return Contestant(made["plain"].url, tls_url, hosts, {name: proxy.child.pid for name, proxy in made.items()})


def main() -> int:
    """Run the benchmark. Returns 1 where a program is missing or a run fails."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="how often each measurement is made (default: 5)")
    parser.add_argument("--seconds", type=int, default=2, help="length of one wrk run (default: 2)")
    options = parser.parse_args()
    if missing := [name for name in ("nginx", "wrk", "curl") if shutil.which(name) is None]:
        print(f"missing: {', '.join(missing)}; apt-get install them", file=sys.stderr)
        return 1
    try:
        print(asyncio.run(run(options.rounds, options.seconds)))
    except (ChildError, LoadError) as error:
        print(f"the benchmark failed: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
