"""This proxy against nginx doing the same injection, on this machine, in one run: `make bench`.

Both stand before the same tool (an nginx that answers 401 without the credential, and a sink for uploads), each with
one worker and no access log. Runs are interleaved and the median of the rounds counts, so that a busy machine disturbs
both alike; only the ratios are worth comparing between machines. Prints a Markdown table.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import platform
import re
import shutil
import statistics
import sys
import tempfile
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

from bench.load import LoadError, download, small, upload
from standalone.child import Child, ChildError
from tests.peers.manifests import auth, basic_auth, connector, write
from tests.peers.nginx import Nginx, start_nginx
from tests.peers.proxy_process import start_proxy

GIB = 1024**3
MIB = 1024**2
AUTHORIZATION = "Basic " + base64.b64encode(b"robot:secret").decode("ascii")
TOOL = """
    access_log off;
    keepalive_requests 1000000000;
    if ($http_authorization != "{authorization}") {{ return 401; }}
    location = /small {{ return 200 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"; }}
    location = /large {{ root {folder}; }}
"""
PROXY_HTTP = """
    upstream tool {{ server 127.0.0.1:{tool}; keepalive 64; keepalive_requests 1000000000; }}
    upstream sink {{ server 127.0.0.1:{sink}; }}
"""
PROXY_PART = """
    location {path} {{
        proxy_pass http://{upstream};
        proxy_http_version 1.1;
        proxy_set_header Connection "";
        proxy_set_header Authorization "{authorization}";
        proxy_request_buffering off;
        proxy_max_temp_file_size 0;
        proxy_buffer_size 64k;  # with its default of 4k it is three times slower on large bodies
        proxy_buffers 16 64k;
        client_max_body_size 0;
    }}
"""


@dataclass(slots=True)
class Contestant:
    """One proxy: how its two Connectors are reached, its process, and what was measured."""

    name: str
    url: str
    tool_host: str
    sink_host: str
    pid: int
    results: dict[str, list[float]] = field(default_factory=dict)

    def note(self, measure: str, value: float) -> None:
        """Add one round's result."""
        self.results.setdefault(measure, []).append(value)

    def median(self, measure: str) -> float:
        """Over all rounds."""
        return statistics.median(self.results[measure])

    @property
    def peak_memory(self) -> int:
        """VmHWM in bytes (Linux)."""
        found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{self.pid}/status").read_text(encoding="ascii"))
        return int(found[1]) * 1024 if found else 0


def main() -> int:
    """Run the benchmark. Returns 1 where a program is missing or a run fails."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3, help="how often each measurement is made (default: 3)")
    parser.add_argument("--seconds", type=int, default=5, help="length of one wrk run (default: 5)")
    options = parser.parse_args()
    missing = [name for name in ("nginx", "wrk", "curl") if shutil.which(name) is None]
    if missing:
        print(
            f"missing: {', '.join(missing)}; on Debian and Ubuntu: apt-get install {' '.join(missing)}", file=sys.stderr
        )
        return 1
    try:
        print(asyncio.run(_run(options.rounds, options.seconds)))
    except (ChildError, LoadError) as error:
        print(f"the benchmark failed: {error}", file=sys.stderr)
        return 1
    return 0


async def _run(rounds: int, seconds: int) -> str:
    async with AsyncExitStack() as exits:
        folder = Path(exits.enter_context(tempfile.TemporaryDirectory(prefix="connectors-bench-")))
        contestants = await _contestants(exits, folder)
        for number in range(1, rounds + 1):
            print(f"round {number} of {rounds}", file=sys.stderr)
            for contestant in contestants:
                await _small(contestant, seconds)
            for contestant in contestants:
                await _large(contestant, folder / "large")
        return _table(*contestants, rounds, seconds)


async def _contestants(exits: AsyncExitStack, folder: Path) -> tuple[Contestant, Contestant]:
    with (folder / "large").open("wb") as file:
        file.truncate(GIB)
    sink = await Child.start("the sink", [sys.executable, "-m", "bench.sink"])
    exits.push_async_callback(sink.stop)
    sink_port = int((await sink.line(r"^listening on (\d+)"))[1])
    tool = await start_nginx(folder / "tool", TOOL.format(authorization=AUTHORIZATION, folder=folder))
    exits.push_async_callback(tool.child.stop)
    return await _nginx(exits, folder, tool, sink_port), await _connectors(exits, folder, tool, sink_port)


async def _nginx(exits: AsyncExitStack, folder: Path, tool: Nginx, sink_port: int) -> Contestant:
    parts = {"/": "tool", "= /upload": "sink"}
    server = "access_log off; keepalive_requests 1000000000;" + "".join(
        PROXY_PART.format(path=path, upstream=upstream, authorization=AUTHORIZATION) for path, upstream in parts.items()
    )
    http = PROXY_HTTP.format(tool=tool.port, sink=sink_port)
    nginx = await start_nginx(folder / "nginx", server, http=http)
    exits.push_async_callback(nginx.child.stop)
    worker = int((await nginx.child.line(r"start worker process (\d+)"))[1])
    return Contestant("nginx", nginx.address, "proxy", "proxy", worker)


async def _connectors(exits: AsyncExitStack, folder: Path, tool: Nginx, sink_port: int) -> Contestant:
    manifests = write(
        folder / "manifests",
        connector("tool", tool.address, auth=auth("basicAuth", "login")),
        connector("sink", f"http://127.0.0.1:{sink_port}", auth=auth("basicAuth", "login")),
        basic_auth("login", "robot", "secret"),
    )
    proxy = await start_proxy(manifests, "--access-log", "off")
    exits.push_async_callback(proxy.child.stop)
    return Contestant("Connectors", proxy.url, "c-tool.default.svc", "c-sink.default.svc", proxy.child.pid)


async def _small(contestant: Contestant, seconds: int) -> None:
    for connections in (1, 32):
        run = await small(f"{contestant.url}/small", contestant.tool_host, connections, seconds)
        contestant.note(f"rate {connections}", run.rate)
        contestant.note(f"p50 {connections}", run.p50)
        contestant.note(f"p99 {connections}", run.p99)


async def _large(contestant: Contestant, file: Path) -> None:
    contestant.note("download", await download(f"{contestant.url}/large", contestant.tool_host))
    contestant.note("upload", await upload(f"{contestant.url}/upload", contestant.sink_host, file))


def _table(nginx: Contestant, ours: Contestant, rounds: int, seconds: int) -> str:
    rows = [_row(f"requests/s, {n} connection{'s' * (n > 1)}", f"rate {n}", "{:,.0f}", nginx, ours) for n in (1, 32)]
    for count in (1, 32):
        for quantile in ("p50", "p99"):
            rows.append(_row(f"{quantile} latency in ms, {count}", f"{quantile} {count}", "{:.3f}", nginx, ours))
    for way in ("download", "upload"):
        rows.append(_row(f"1 GiB {way}, MiB/s", way, "{:,.0f}", nginx, ours, lambda value: value / MIB))
    memory = [contestant.peak_memory / MIB for contestant in (nginx, ours)]
    rows.append(f"| peak resident memory, MiB | {memory[0]:.0f} | {memory[1]:.0f} | {memory[1] / memory[0]:.2f} |")
    heading = ["| measure | nginx | Connectors | ratio |", "|---|--:|--:|--:|"]
    runs = f"{rounds} interleaved rounds, wrk runs of {seconds} s, no access logs"
    note = f"Medians of {runs}, Python {platform.python_version()}."
    return "\n".join([*heading, *rows, "", note])


def _row(
    title: str,
    measure: str,
    shape: str,
    nginx: Contestant,
    ours: Contestant,
    convert: Callable[[float], float] = lambda value: value,
) -> str:
    theirs, own = convert(nginx.median(measure)), convert(ours.median(measure))
    return f"| {title} | {shape.format(theirs)} | {shape.format(own)} | {own / theirs:.2f} |"


if __name__ == "__main__":
    sys.exit(main())
