"""Addresses of tools: absolute http and https URLs, parsed once into what a request needs (RFC 3986, RFC 5890)."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

import idna

from connectors.objects.connector import Connector
from connectors.objects.connector_class import ConnectorClass

DEFAULT_PORTS: Mapping[str, int] = {"http": 80, "https": 443}
# Characters of an address: far above any real one, and a request's target of 16 KiB still has room behind it.
MAX_ADDRESS = 2048
MAX_HOST = 253

_URL = re.compile(
    r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<authority>[^/?#]*)(?P<path>[^?#]*)(?P<rest>.*)", re.DOTALL
)
_UNSAFE = re.compile(r"[\s\\\x00-\x1f\x7f-\x9f]")
_PORT = re.compile(r"[0-9]{1,5}", re.ASCII)
_LABEL = re.compile(r"(?=.*[a-z0-9])[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?", re.ASCII)
_NUMERIC = re.compile(r"[0-9]+|0x[0-9a-f]*", re.ASCII)
_PATH = re.compile(r"(?:[A-Za-z0-9\-._~!$&'()*+,;=:@/]|%[0-9A-Fa-f]{2})*", re.ASCII)
_AUTHORITY = re.compile(rb"([^:@\[\]]+|\[[0-9A-Fa-f:.]+\])(?::([0-9]{0,5}))?")
_ESCAPE = re.compile(rb"%([0-9A-Fa-f]{2})")
_UNRESERVED = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")


# An IP address in its usual form, and a port (RFC 5389 section 5: transport address).
TransportAddress = tuple[str, int]


def unmapped(ip: str) -> str:
    """An IP address as the kernel writes it; of an IPv4-mapped one (RFC 4291 section 2.5.5.2) the IPv4 address."""
    return ip.removeprefix("::ffff:") if "." in ip else ip


class AddressError(ValueError):
    """An address breaks a rule. The message says what to do and never quotes the address: it may hold a password."""


class Origin(NamedTuple):
    """Scheme, host without a trailing dot, and port (RFC 6454 section 4)."""

    scheme: str
    host: str
    port: int


@dataclass(frozen=True, slots=True)
class Address:
    """A tool's address.

    `host` is what is looked up: ASCII in lower case, an IPv6 address without brackets, a trailing dot kept since it
    turns search domains off. `path` is as written: empty, or it begins with a slash.
    """

    scheme: str
    host: str
    port: int
    path: bytes

    # The host without a trailing dot: for SNI and the certificate's name (RFC 6066 section 3) and for Host.
    server_name: str = field(init=False, compare=False, repr=False)
    # Two addresses with the same origin are on the same server.
    origin: Origin = field(init=False, compare=False, repr=False)
    # The Host field's value: the port only where it is not the scheme's own (RFC 9110 section 7.2).
    authority: bytes = field(init=False, compare=False, repr=False)
    # Scheme and authority: what goes before a path in a URL of this server's.
    root: bytes = field(init=False, compare=False, repr=False)
    # The path that goes before every request path: without slashes at its end.
    prefix: bytes = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        # Derived once: every request to this address asks for all of them.
        name = self.host.removesuffix(".")
        host = f"[{self.host}]" if ":" in self.host else name
        authority = host if self.port == DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"
        object.__setattr__(self, "server_name", name)
        object.__setattr__(self, "origin", Origin(self.scheme, name, self.port))
        object.__setattr__(self, "authority", authority.encode("ascii"))
        object.__setattr__(self, "root", f"{self.scheme}://{authority}".encode("ascii"))
        object.__setattr__(self, "prefix", self.path.rstrip(b"/"))

    def __str__(self) -> str:
        return f"{self.scheme}://{self.authority.decode('ascii')}{self.path.decode('ascii')}"


def parse_address(text: str) -> Address:
    """Parse `spec.address` or an address extension's value.

    Raises:
        AddressError: with one sentence that says what to do.
    """
    if not text:
        raise AddressError("is empty; give an absolute http or https URL")
    if len(text) > MAX_ADDRESS:
        raise AddressError(f"is longer than {MAX_ADDRESS} characters; shorten it")
    if _UNSAFE.search(text):
        raise AddressError("contains white space, a control character or a backslash; remove it or percent-encode it")
    found = _URL.fullmatch(text)
    if found is None or found["scheme"].lower() not in DEFAULT_PORTS:
        raise AddressError("must be an absolute URL that begins with http:// or https://")
    if "@" in found["authority"]:
        raise AddressError(
            "contains a user name or password before the host; move them to a Secret and remove them here"
        )
    if "#" in found["rest"]:
        raise AddressError("has a fragment; remove the '#' and what follows it")
    if found["rest"]:
        raise AddressError("has a query; remove the '?' and what follows it, since each request brings its own")
    scheme = found["scheme"].lower()
    host, port = _split_authority(found["authority"])
    return Address(scheme, _host(host), DEFAULT_PORTS[scheme] if port is None else _port(port), _path(found["path"]))


# The same for what stands in manifests, which is checked first and then used: remembered for as long as that takes.
#
# Not for what callers send: a cache must not become their storage.
manifest_address = lru_cache(maxsize=1024)(parse_address)


def same_address(a: Address, b: Address) -> bool:
    """Whether a request to one goes where a request to the other goes (RFC 3986 section 6.2, and trailing slashes)."""
    return place_of(a) == place_of(b)


def place_of(address: Address) -> tuple[object, bytes]:
    """A key that is equal for two addresses exactly if they are the same."""
    return address.origin, _normal_path(address.prefix)


def origin_of_url(scheme: bytes, authority: bytes) -> Origin | None:
    """The origin of a URL that a peer sent, whose scheme is http or https in any case; None if it cannot be read.

    Nothing is checked: it is for comparing with an origin that is known. An empty port is the scheme's own (RFC 3986
    section 6.2.3).
    """
    found = _AUTHORITY.fullmatch(authority)
    if found is None:
        return None
    name = scheme.decode("latin-1").lower()
    host = found[1].decode("latin-1").lower().strip("[]").rstrip(".")
    return Origin(name, host, int(found[2]) if found[2] else DEFAULT_PORTS[name])


def declared_addresses(connector: Connector, connector_class: ConnectorClass) -> dict[str, Address]:
    """The addresses a request may choose, by extension name; "" is spec.address. Only for a Connector without errors.

    An extension that the Connector leaves out has its class's default, if that is not empty.
    """
    texts = {
        extension.name: extension.default
        for extension in connector_class.spec.address_extensions
        if isinstance(extension.default, str) and extension.default
    }
    texts |= {extension.name: extension.value for extension in connector.spec.address_extensions}
    return {"": manifest_address(connector.spec.address)} | {
        name: manifest_address(text) for name, text in texts.items()
    }


def _split_authority(authority: str) -> tuple[str, str | None]:
    """Host (an IP literal keeps its brackets) and port, or None."""
    bracket = authority.rfind("]")
    host, colon, port = authority[bracket + 1 :].partition(":")
    return authority[: bracket + 1] + host, port if colon else None


def _port(text: str) -> int:
    if not text:
        raise AddressError("has a colon but no port behind the host; remove the colon or add the port")
    if not _PORT.fullmatch(text) or not 1 <= int(text) <= 65535:
        raise AddressError("has a port that is not a number from 1 to 65535; correct it")
    return int(text)


def _host(text: str) -> str:
    if not text:
        raise AddressError("has no host; write it after the scheme, as in https://tool.example.com")
    if text.startswith("["):
        return _ipv6(text)
    host = (text if text.isascii() else _ascii(text)).lower()
    name = host.removesuffix(".")
    labels = name.split(".")
    if _NUMERIC.fullmatch(labels[-1]):
        return _ipv4(name)
    if len(name) > MAX_HOST or not all(_LABEL.fullmatch(label) for label in labels):
        raise AddressError("has a host that is not a DNS name or an IP address; correct it")
    return host


def _ipv6(text: str) -> str:
    if "%" in text:
        raise AddressError("has an IPv6 zone, which means something on one machine only; use an address without one")
    try:
        if text.endswith("]"):
            return str(ipaddress.IPv6Address(text[1:-1]))
    except ValueError:
        pass
    raise AddressError("has brackets that do not hold an IPv6 address; correct it, as in http://[2001:db8::1]:8080")


def _ipv4(name: str) -> str:
    """Four decimal numbers only: resolvers also read 127.1, 0x7f.0.0.1 and 017700000001, and differ in how."""
    try:
        return str(ipaddress.IPv4Address(name))
    except ValueError:
        raise AddressError("has a host that ends in a number but is not an IPv4 address; write it as a.b.c.d") from None


def _ascii(text: str) -> str:
    """The A-label form of an internationalised host (UTS 46, non-transitional)."""
    try:
        return idna.encode(text, uts46=True).decode("ascii")
    except UnicodeError:
        raise AddressError("has a host that is not a valid internationalised name; write its xn-- form") from None


def _path(text: str) -> bytes:
    if not text.isascii():
        raise AddressError("has characters outside ASCII in its path; percent-encode them")
    if not _PATH.fullmatch(text):
        raise AddressError("has characters in its path that a URL cannot hold, or a stray '%'; percent-encode them")
    path = text.encode("ascii")
    segments = re.split(rb"[/\\]", unquote_to_bytes(path))
    if b"." in segments or b".." in segments:
        raise AddressError("has a '.' or '..' segment in its path; write the path without it")
    return path


def _normal_path(path: bytes) -> bytes:
    return _ESCAPE.sub(_normal_escape, path)


def _normal_escape(escape: re.Match[bytes]) -> bytes:
    octet = int(escape[1], 16)
    return bytes((octet,)) if octet in _UNRESERVED else escape[0].upper()
