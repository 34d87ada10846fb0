"""Load from outside: wrk for small requests, curl for large bodies; and what their output says."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from standalone.child import Child

UNITS = {"us": 1e-3, "ms": 1.0, "s": 1e3, "m": 60e3}
"""wrk's units, in milliseconds."""


class LoadError(Exception):
    """A run failed or met answers other than 2xx; the message holds its output."""


@dataclass(frozen=True, slots=True)
class Small:
    """One run of small requests: requests per second, latencies in milliseconds."""

    rate: float
    p50: float
    p99: float


def parse_wrk(output: str) -> Small:
    """What `wrk --latency` printed.

    Raises:
        LoadError: it met an answer other than 2xx or 3xx, a socket error, or is not understood.
    """
    if "Non-2xx" in output or "Socket errors" in output:
        raise LoadError(output)
    rate = re.search(r"^Requests/sec:\s+([\d.]+)", output, re.MULTILINE)
    latencies = dict(re.findall(r"^\s+(50|99)%\s+([\d.]+(?:us|ms|s|m))$", output, re.MULTILINE))
    if rate is None or len(latencies) != 2:
        raise LoadError(output)
    return Small(float(rate[1]), _milliseconds(latencies["50"]), _milliseconds(latencies["99"]))


def _milliseconds(text: str) -> float:
    found = re.fullmatch(r"([\d.]+)(us|ms|s|m)", text)
    if found is None:
        raise LoadError(text)
    return float(found[1]) * UNITS[found[2]]


async def small(url: str, host: str, connections: int, seconds: int, authorization: str = "") -> Small:
    """Keep `connections` busy with small GET requests for `seconds`."""
    fields = ["-H", f"Host: {host}", *(("-H", f"Authorization: {authorization}") if authorization else ())]
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", *fields, url]
    return parse_wrk(await _output("wrk", command))


async def download(url: str, host: str) -> float:
    """Bytes per second of one GET."""
    measured = "%{http_code} %{size_download} %{speed_download}"
    return _speed(await _output("curl", ["curl", "-sS", "-H", f"Host: {host}", "-o", "/dev/null", "-w", measured, url]))


async def upload(url: str, host: str, file: Path) -> float:
    """Bytes per second of one PUT of `file`."""
    measured = "%{http_code} %{size_upload} %{speed_upload}"
    command = ["curl", "-sS", "-H", f"Host: {host}", "-H", "Expect:", "-o", "/dev/null", "-w", measured]
    return _speed(await _output("curl", [*command, "-T", str(file), url]))


def _speed(output: str) -> float:
    words = output.split()
    if len(words) != 3 or words[0] != "200":
        raise LoadError(f"curl: {output}")
    return float(words[2])


async def _output(name: str, command: list[str]) -> str:
    child = await Child.start(name, command)
    try:
        if code := await child.wait():
            raise LoadError(f"{' '.join(command)} ended with exit code {code}:\n{child.log}")
    finally:
        await child.stop()
    return child.log
