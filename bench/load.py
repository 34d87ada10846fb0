"""Load from outside: wrk for requests, curl for large bodies; and what their output says."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from standalone.child import Child

# wrk's units, in milliseconds.
UNITS = {"us": 1e-3, "ms": 1.0, "s": 1e3, "m": 60e3}
SCRIPT = Path(__file__).with_name("requests.lua")


class LoadError(Exception):
    """A run failed or met answers other than 2xx; its first line says what is wrong, the rest is the output."""


@dataclass(frozen=True, slots=True)
class Small:
    """One run of requests: how many, how many per second, latencies in milliseconds."""

    requests: int
    rate: float
    p50: float
    p99: float


@dataclass(frozen=True, slots=True)
class Requests:
    """What wrk sends over so many connections: another path below `path` each time."""

    connections: int
    path: str = "/small/"
    method: str = "GET"
    body: int = 0
    close: bool = False


def parse_wrk(output: str) -> Small:
    """What `wrk --latency` printed.

    Raises:
        LoadError: it met an answer other than 2xx or 3xx, a socket error, or none at all, or is not understood.
    """
    for trouble in ("Non-2xx or 3xx responses: ", "Socket errors: "):
        if found := re.search(trouble + ".*", output):
            raise LoadError(f"{found[0]}\n{output}")
    count = re.search(r"^\s+(\d+) requests in ", output, re.MULTILINE)
    rate = re.search(r"^Requests/sec:\s+([\d.]+)", output, re.MULTILINE)
    latencies = dict(re.findall(r"^\s+(50|99)%\s+([\d.]+(?:us|ms|s|m))$", output, re.MULTILINE))
    if count is not None and int(count[1]) == 0:
        raise LoadError(f"no request was answered\n{output}")
    if count is None or rate is None or len(latencies) != 2:
        raise LoadError(f"wrk was not understood\n{output}")
    return Small(int(count[1]), float(rate[1]), _milliseconds(latencies["50"]), _milliseconds(latencies["99"]))


def _milliseconds(text: str) -> float:
    found = re.fullmatch(r"([\d.]+)(us|ms|s|m)", text)
    if found is None:
        raise LoadError(text)
    return float(found[1]) * UNITS[found[2]]


async def small(url: str, wanted: Requests, seconds: float, fields: Mapping[str, str]) -> Small:
    """Keep connections to `url` busy for `seconds` (whole ones).

    Raises:
        LoadError: see `parse_wrk`.
    """
    lines = [f"{name}: {value}" for name, value in fields.items()] + ["Connection: close"] * wanted.close
    # Behind a word of its own, so that no path comes again in the next run.
    path = f"{re.sub('^https?://[^/]+', '', url)}{wanted.path}{secrets.token_hex(4)}-"
    command = ["wrk", "-t1", f"-c{wanted.connections}", f"-d{seconds:.0f}s", "--latency", "-s", str(SCRIPT), url]
    return parse_wrk(await _output("wrk", [*command, "--", wanted.method, path, str(wanted.body), *lines]))


async def download(url: str, fields: Mapping[str, str]) -> float:
    """Bytes per second of one GET.

    Raises:
        LoadError: curl failed, or the answer is not 200.
    """
    return _speed(await _output("curl", [*_curl(fields, "%{speed_download}"), url]))


async def upload(url: str, fields: Mapping[str, str], file: Path, *, chunked: bool = False) -> float:
    """Bytes per second of one PUT of `file`.

    Raises:
        LoadError: as for `download`.
    """
    framing = {"Transfer-Encoding": "chunked"} if chunked else {}
    command = _curl({**fields, "Expect": "", **framing}, "%{speed_upload}")
    return _speed(await _output("curl", [*command, "-T", str(file), url]))


def _curl(fields: Mapping[str, str], speed: str) -> list[str]:
    headers = [part for name, value in fields.items() for part in ("-H", f"{name}: {value}")]
    # -k: whether the listener's certificate is right is not what is measured.
    return ["curl", "-sSk", "--http1.1", *headers, "-o", "/dev/null", "-w", f"%{{http_code}} {speed}"]


def _speed(output: str) -> float:
    words = output.split()
    if len(words) != 2 or words[0] != "200":
        raise LoadError(f"curl: {output}")
    return float(words[1])


async def _output(name: str, command: Sequence[str]) -> str:
    child = await Child.start(name, command)
    try:
        if code := await child.wait():
            raise LoadError(f"{' '.join(command)} ended with exit code {code}:\n{child.log}")
    finally:
        await child.stop()
    return child.log
