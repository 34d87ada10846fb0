"""Which addresses may be dialled. Pure: it is asked about addresses, names are looked up elsewhere."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from connectors.objects.addresses import TransportAddress
from connectors.process.declaration import Parser, setting

IPAddress = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network
Networks = tuple[Network, ...]

LOOPBACK: Networks = (ip_network("127.0.0.0/8"), ip_network("::1/128"))
# No tool is there, and much that must not be reached. Private ranges are not among them: tools live there.
DENIED: tuple[tuple[str, Networks], ...] = (
    (
        "metadata",
        (
            ip_network("100.100.100.200/32"),  # Alibaba Cloud
            ip_network("168.63.129.16/32"),  # Azure's wire server
            ip_network("192.0.0.192/32"),  # Oracle Cloud Classic
            ip_network("fd00:42::42/128"),  # Scaleway
            ip_network("fd00:100::100:200/128"),  # Alibaba Cloud
            ip_network("fd00:a9fe:a9fe::1/128"),  # Akamai (Linode)
            ip_network("fd00:c1::a9fe:a9fe/128"),  # Oracle Cloud
            ip_network("fd00:ec2::/32"),  # AWS: instance metadata at ::254, pod identity at ::23
            ip_network("fd20:ce::254/128"),  # Google Cloud
        ),
    ),
    # Every other cloud's metadata service is at 169.254.169.254 or beside it.
    ("link-local", (ip_network("169.254.0.0/16"), ip_network("fe80::/10"))),
    # "This network" (RFC 1122 section 3.2.1.3): Linux dials itself for 0.0.0.0.
    ("unspecified", (ip_network("0.0.0.0/8"), ip_network("::/128"))),
    ("multicast", (ip_network("224.0.0.0/4"), ip_network("ff00::/8"))),
    ("broadcast", (ip_network("255.255.255.255/32"),)),
)

_ENDS_IN_IPV4 = (
    IPv6Network("::ffff:0:0/96"),  # IPv4-mapped (RFC 4291 section 2.5.5.2): the kernel dials the IPv4 address
    IPv6Network("::/96"),  # IPv4-compatible (RFC 4291 section 2.5.5.1)
    IPv6Network("::ffff:0:0:0/96"),  # IPv4-translated (RFC 2765 section 2.1)
    IPv6Network("64:ff9b::/96"),  # NAT64 (RFC 6052 section 2.1)
)
_SIX_TO_FOUR = IPv6Network("2002::/16")
_LOCAL_NAT64 = IPv6Network("64:ff9b:1::/48")
# Where the IPv4 address is behind a prefix of 48, 56, 64 and 96 bits (RFC 6052 section 2.2).
_LOCAL_NAT64_OCTETS = ((6, 7, 9, 10), (7, 9, 10, 11), (9, 10, 11, 12), (12, 13, 14, 15))
# Unspecified and loopback: IPv4-compatible by their form alone.
_ITSELF = IPv6Network("::/127")
_THIS_NETWORK = IPv4Network("0.0.0.0/8")
# Verdicts that a guard remembers: one costs 10 us and more, and each connection asks for it.
_MAX_KNOWN = 4096
_NETWORK = re.compile(r"[0-9A-Fa-f:.]{2,45}(?:/[0-9]{1,3})?", re.ASCII)


def parse_networks(text: str) -> Networks:
    """`CIDR,CIDR`; an address without a length is itself alone; none for the empty text.

    Raises:
        ValueError: one of them is not a network, or has bits set behind its length.
    """
    return tuple(_network(part.strip()) for part in text.split(",")) if text else ()


def _network(text: str) -> Network:
    try:
        if not _NETWORK.fullmatch(text):
            raise ValueError
        network = ip_network(text, strict=False)
    except ValueError:
        raise ValueError("it takes networks in CIDR form or IP addresses, separated by commas") from None
    # 10.0.0.5/8 is a slip of the keyboard, and would deny or allow 16 million addresses.
    if str(network.network_address) != str(ip_address(text.partition("/")[0])):
        raise ValueError("a network has host bits set; write its first address before the slash, or an address alone")
    return network


NETWORKS = Parser(parse_networks, "CIDR,...")


@dataclass(frozen=True, slots=True)
class DialGuard:
    """`deny` goes before `allow`, and `allow` before what is denied by default. `loopback` lifts that one default."""

    allow: Networks = setting(
        "--allow-upstream", "", NETWORKS, "addresses that may be dialled though they are denied by default",
        "127.0.0.0/8,192.0.2.1",
    )  # fmt: skip
    deny: Networks = setting(
        "--deny-upstream", "", NETWORKS, "addresses that must not be dialled, whatever else is allowed",
        "10.96.0.1,2001:db8::/32",
    )  # fmt: skip
    # No flag: whether tools on this machine are what is served is known to the command, not to its user.
    loopback: bool = False
    _known: dict[str, str | None] = field(default_factory=dict, init=False, compare=False, repr=False)

    def denied(self, ip: str) -> str | None:
        """The name of the range that keeps `ip` from being dialled; None if it may be.

        An IPv6 address that stands for an IPv4 address is judged as both. What is not an address is denied.
        """
        if ip in self._known:
            return self._known[ip]
        if len(self._known) >= _MAX_KNOWN:
            # All at once: name servers choose these addresses, and an order of use would cost more than a verdict.
            self._known.clear()
        verdict = self._known[ip] = self._verdict(ip)
        return verdict

    def _verdict(self, ip: str) -> str | None:
        try:
            address = ip_address(ip)
        except ValueError:
            return "not an IP address"  # unknown means deny
        return next((name for form in _forms(address) if (name := self._judged(form))), None)

    def _judged(self, ip: IPAddress) -> str | None:
        # An operator's no holds within what is allowed, too.
        if _within(ip, self.deny):
            return "by --deny-upstream"
        if _within(ip, self.allow):
            return None
        if not self.loopback and _within(ip, LOOPBACK):
            return "loopback"
        return next((name for name, networks in DENIED if _within(ip, networks)), None)


def is_among(ip: str, port: int, addresses: Collection[TransportAddress]) -> bool:
    """Whether it is one of these, also as an IPv6 address that stands for the IPv4 address of one (NAT64 for one)."""
    # Most installations are not known by anything, and then no address has to be taken apart.
    return bool(addresses) and any((str(form), port) in addresses for form in _forms(ip_address(ip.partition("%")[0])))


def is_public(host: str) -> bool:
    """Whether `host` is an IP address that is the same machine from everywhere (IANA's registries: "global").

    An IPv6 address that stands for an IPv4 address is judged as both. A name is not: it can resolve to anything.
    """
    try:
        return all(form.is_global for form in _forms(ip_address(host)))
    except ValueError:
        return False


def _within(ip: IPAddress, networks: Networks) -> bool:
    return any(ip in network for network in networks)


def _forms(ip: IPAddress) -> Iterator[IPAddress]:
    """The address, and each IPv4 address that it can stand for. A zone changes nothing about the networks it is in."""
    yield ip
    # ::1 and :: look IPv4-compatible, and are not 0.0.0.1 and 0.0.0.0 (RFC 4291 sections 2.5.2 and 2.5.3).
    if isinstance(ip, IPv4Address) or ip in _ITSELF:
        return
    octets = ip.packed
    if _within(ip, _ENDS_IN_IPV4):
        yield IPv4Address(octets[12:])
    if ip in _SIX_TO_FOUR:
        yield IPv4Address(octets[2:6])
    if ip in _LOCAL_NAT64:
        inner = [IPv4Address(bytes(octets[place] for place in places)) for places in _LOCAL_NAT64_OCTETS]
        # The prefix's length is unknown. Zeros come from assuming a wrong one, and no translator forwards to them.
        yield from [address for address in inner if address not in _THIS_NETWORK] or inner[-1:]
