"""The settings of dialling, which every process that dials tools takes: what one reaches, the other's probes must."""

from __future__ import annotations

from typing import Any

from connectors.dial.dial_settings import DialSettings
from connectors.dial.guard import DialGuard, parse_networks
from connectors.process.parsers import choice, parse_duration_or_zero
from connectors.process.settings import Setting, Values
from connectors.tls.pool import TlsVersion

MAX_DNS_CACHE = 60.0
"""Seconds. A name server's own answers tell how long they count, and the system does not pass that on."""


def parse_dns_cache(text: str) -> float:
    """A duration of a minute at most, or 0.

    Raises:
        ValueError: anything else.
    """
    seconds = parse_duration_or_zero(text)
    if seconds > MAX_DNS_CACHE:
        raise ValueError("it must be at most 1m, or 0 for no cache")
    return seconds


ALLOW_UPSTREAM = Setting(
    "--allow-upstream", "", parse_networks, "addresses that may be dialled though they are denied by default",
    "127.0.0.0/8,192.0.2.1", metavar="CIDR,...",
)  # fmt: skip
DENY_UPSTREAM = Setting(
    "--deny-upstream", "", parse_networks, "addresses that must not be dialled, whatever else is allowed",
    "10.96.0.1,2001:db8::/32", metavar="CIDR,...",
)  # fmt: skip
DNS_CACHE = Setting(
    "--dns-cache", "5s", parse_dns_cache, "that the addresses of a tool's name count; 0: they are looked up each time",
    "5s", metavar="DURATION",
)  # fmt: skip
UPSTREAM_TLS = Setting(
    "--upstream-tls-min", "1.2", choice(TlsVersion), "lowest version of TLS toward tools", "1.3", metavar="1.2|1.3"
)
DIAL_FLAGS: tuple[Setting[Any], ...] = (ALLOW_UPSTREAM, DENY_UPSTREAM, DNS_CACHE, UPSTREAM_TLS)


def dial_settings(values: Values, *, loopback: bool) -> DialSettings:
    """The settings as a value. `loopback`: whether tools on this machine may be dialled, as on a laptop they are."""
    guard = DialGuard(allow=values[ALLOW_UPSTREAM], deny=values[DENY_UPSTREAM], loopback=loopback)
    return DialSettings(guard, values[DNS_CACHE], values[UPSTREAM_TLS])
