"""NO_PROXY: which hosts are reached without a proxy, as Go's programs read it, kubectl among them. Pure.

Source: golang.org/x/net/http/httpproxy. The rules are about the host as it is written: no name is looked up.
"""

from __future__ import annotations

import ipaddress
import re
from contextlib import suppress
from dataclasses import dataclass
from typing import NamedTuple

import idna

_IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
_Network = ipaddress.IPv4Network | ipaddress.IPv6Network
_BRACKETED = re.compile(r"\[(?P<host>[^\[\]]+)\](?::(?P<port>[^:]*))?")
_WITH_PORT = re.compile(r"(?P<host>[^:\[\]]*):(?P<port>[^:]*)")
# Python would take a netmask behind the slash, too; Go does not.
_CIDR = re.compile(r"[0-9a-f:.]+/[0-9]{1,3}", re.ASCII)
_MAPPED = ipaddress.IPv6Network("::ffff:0:0/96")


class _Domain(NamedTuple):
    """`suffix` begins with a dot. `itself`: whether the name without that dot is meant, too. `port` empty: any."""

    suffix: str
    itself: bool
    port: str


@dataclass(frozen=True, slots=True)
class NoProxy:
    """Hosts that are reached directly: loopback always, and those that the rules name."""

    _networks: tuple[tuple[_Network, str], ...] = ()
    _domains: tuple[_Domain, ...] = ()
    _everything: bool = False

    @classmethod
    def parse(cls, text: str) -> NoProxy:
        """Rules separated by commas.

        `*` covers every host; `10.0.0.0/8` a range; `10.0.0.1` and `::1` an address; `example.com` the domain and all
        below it; `.example.com` and `*.example.com` those below it alone. All but ranges may have a port, in front of
        which an IPv6 address is in brackets. As in Go, what is none of these covers no host: a variable that other
        programs read, too, must not keep this one from starting.
        """
        networks: list[tuple[_Network, str]] = []
        domains: list[_Domain] = []
        for rule in (part.strip().lower() for part in text.split(",")):
            if rule == "*":
                return cls(_everything=True)
            if (network := _range(rule)) is not None:
                networks.append((network, ""))
                continue
            host, port = _split(rule)
            if (address := _address(host)) is not None:
                networks.append((ipaddress.ip_network(address), port))
            elif host.strip("."):
                domains.append(_domain(host, port))
        return cls(tuple(networks), tuple(domains))

    def covers(self, host: str, port: int) -> bool:
        """Whether this host is reached without a proxy. `host`: in ASCII, an IPv6 address without brackets."""
        name = host.lower().removesuffix(".")
        address = _address(name)
        if self._everything or name == "localhost" or (address is not None and address.is_loopback):
            return True
        if address is not None:
            # No domain: what looks like one may stand in the zone of an IPv6 address (CVE-2025-22870).
            return any(address in network and of in {"", str(port)} for network, of in self._networks)
        return any(
            (name.endswith(rule.suffix) or (rule.itself and name == rule.suffix[1:])) and rule.port in {"", str(port)}
            for rule in self._domains
        )


def _range(text: str) -> _Network | None:
    if not _CIDR.fullmatch(text):
        return None
    try:
        network = ipaddress.ip_network(text, strict=False)
    except ValueError:
        return None
    if isinstance(network, ipaddress.IPv6Network) and network.subnet_of(_MAPPED):
        inner = network.network_address.ipv4_mapped
        return ipaddress.ip_network((int(inner or 0), network.prefixlen - 96)) if inner else network
    return network


def _split(rule: str) -> tuple[str, str]:
    """Host and port, which is empty where none is named."""
    found = _BRACKETED.fullmatch(rule) or _WITH_PORT.fullmatch(rule)
    return (found["host"], found["port"] or "") if found else (rule, "")


def _address(text: str) -> _IPAddress | None:
    """None for a name. An IPv4-mapped address is the IPv4 address that it stands for."""
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def _domain(host: str, port: str) -> _Domain:
    name = host[1:] if host.startswith("*.") else host
    below = name.startswith(".")
    suffix = name if below else f".{name}"
    if not suffix.isascii():
        # What cannot be encoded stays a text that no host is.
        with suppress(idna.IDNAError):
            suffix = "." + idna.encode(suffix[1:], uts46=True).decode()
    return _Domain(suffix, not below, port)
