"""Text of a flag or environment variable -> value. Each parser raises ValueError with a sentence for the user."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

from connectors.process.declaration import Parser

E = TypeVar("E", bound=StrEnum)
T = TypeVar("T")

# Thirty days: event loops refuse timers that are much longer, and no operator means one.
MAX_SECONDS = 30 * 24 * 3600.0

_DURATION = re.compile(r"(?:\d+(?:\.\d+)?(?:ms|s|m|h))+", re.ASCII)
_DURATION_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h)", re.ASCII)
_SECONDS = re.compile(r"\d+(?:\.\d+)?", re.ASCII)
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
# As they are written (IEC 80000-13), and as in quantities of Kubernetes.
_SIZE = re.compile(r"(\d{1,15})(?:B|([KMG]i)B?)?", re.ASCII)
_FACTORS = {None: 1, "Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30}
_BRACKETED = re.compile(r"\[(?P<host>[^\]]*)\]:(?P<port>\d{1,5})", re.ASCII)
_HOST_NAME = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9._-]*[A-Za-z0-9_.])?", re.ASCII)
_NAME = re.compile(r"[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?", re.ASCII)
_PLAIN = re.compile(r"(?P<host>[^\s:/\[\]@]+):(?P<port>\d{1,5})", re.ASCII)


EVERYWHERE = "::"


@dataclass(frozen=True, slots=True)
class HostPort:
    """Where to listen. `host` is a name or an IP address without brackets; port 0 lets the kernel choose.

    EVERYWHERE as the host means all addresses of both families (connectors/process/listening.py).
    """

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach it. A name other than localhost counts as reachable from elsewhere."""
        if self.host.lower() == "localhost":
            return True
        try:
            address = ipaddress.ip_address(self.host)
            # An IPv4-mapped one is the IPv4 address that the kernel takes it for.
            return (getattr(address, "ipv4_mapped", None) or address).is_loopback
        except ValueError:
            return False


def parse_host_port(text: str) -> HostPort:
    """`HOST:PORT`, an IPv6 address in brackets (RFC 3986 section 3.2.2). `*` is the same as `[::]`.

    Raises:
        ValueError: no host, no port, port above 65535, or brackets around something that is not IPv6.
    """
    found = _BRACKETED.fullmatch(text) or _PLAIN.fullmatch(text)
    if found is None:
        hint = "put an IPv6 address in brackets" if text.count(":") > 1 else "it takes HOST:PORT; * is every interface"
        raise ValueError(hint)
    host, port = (EVERYWHERE if found["host"] == "*" else found["host"]), int(found["port"])
    if port > 65535:
        raise ValueError("a port is at most 65535")
    if text.startswith("["):
        try:
            ipaddress.IPv6Address(host)
        except ValueError:
            raise ValueError("the brackets do not hold an IPv6 address") from None
    return HostPort(host, port)


def parse_hosts(text: str) -> frozenset[str]:
    """`NAME,NAME`: names and IP addresses without a port; in lower case, without brackets and dots at their ends.

    Raises:
        ValueError: one of them is something else.
    """
    try:
        return frozenset(map(_host, text.split(","))) if text else frozenset()
    except ValueError:
        raise ValueError("it takes host names or IP addresses, separated by commas, without a port") from None


def parse_duration(text: str) -> float:
    """`30s`, `500ms`, `1m30s`, `2h` or plain seconds -> seconds.

    Raises:
        ValueError: not a duration, zero, or above MAX_SECONDS.
    """
    if _SECONDS.fullmatch(text):
        seconds = float(text)
    elif _DURATION.fullmatch(text):
        seconds = sum(float(number) * _UNITS[unit] for number, unit in _DURATION_PART.findall(text))
    else:
        raise ValueError("it takes a duration with the unit ms, s, m or h")
    if not 0 < seconds <= MAX_SECONDS:
        raise ValueError("a duration is more than 0 and at most 30 days")
    return seconds


def parse_duration_or_zero(text: str) -> float:
    """A duration, or 0, which switches off what it is about.

    Raises:
        ValueError: see parse_duration.
    """
    return 0.0 if re.fullmatch(r"0(?:ms|s|m|h)?", text) else parse_duration(text)


def parse_count_or_zero(text: str) -> int:
    """A whole number, or 0, which switches off what it is about.

    Raises:
        ValueError: anything else.
    """
    return 0 if text == "0" else parse_count(text)


def parse_size(text: str) -> int:
    """`64KiB`, `8MiB`, `1GiB`, the same without the B, or plain bytes -> bytes.

    Raises:
        ValueError: not a size, or zero.
    """
    found = _SIZE.fullmatch(text)
    if found is None:
        raise ValueError("it takes a size in bytes or with the unit KiB, MiB or GiB")
    return _positive(int(found[1]) * _FACTORS[found[2]])


def parse_count(text: str) -> int:
    """A whole number of at least 1.

    Raises:
        ValueError: anything else.
    """
    # A sign is read so that -1 is told what it lacks.
    if not re.fullmatch(r"-?[0-9]{1,9}", text):
        raise ValueError("it takes a whole number")
    return _positive(int(text))


def parse_switch(text: str) -> bool:
    """`true` or `false`.

    Raises:
        ValueError: anything else.
    """
    if text not in {"true", "false"}:
        raise ValueError("it takes true or false")
    return text == "true"


def parse_on_off(text: str) -> bool:
    """`on` or `off`.

    Raises:
        ValueError: anything else.
    """
    if text not in {"on", "off"}:
        raise ValueError("it takes one of on, off")
    return text == "on"


# The name of what was given without one.
UNNAMED = "default"
# Names, and what is said of each.
Named = tuple[tuple[str, str], ...]


def parse_named(text: str) -> Named:
    """`[NAME=]VALUE,...`; none for the empty text. What has no name is UNNAMED.

    Raises:
        ValueError: a name is none, or is there twice, or a value is empty.
    """
    found: dict[str, str] = {}
    for part in (part.strip() for part in text.split(",")) if text else ():
        before, equals, after = part.partition("=")
        # A path or a URL may have an equals sign in it, behind a slash, which no name has.
        name, value = (before, after) if equals and "/" not in before else (UNNAMED, part)
        if not _NAME.fullmatch(name):
            raise ValueError("a name takes lower-case letters, digits and '-', at most 63, no '-' at either end")
        if not value:
            raise ValueError("it takes NAME=VALUE or VALUE, separated by commas; a value is empty")
        if name in found:
            raise ValueError("two have the same name; one alone may be without a name")
        found[name] = value
    return tuple(found.items())


def choice(kind: type[E]) -> Callable[[str], E]:
    """A parser for the values of an enum, which it lists when it refuses."""

    def parse(text: str) -> E:
        try:
            return kind(text)
        except ValueError:
            raise ValueError("it takes one of " + ", ".join(member.value for member in kind)) from None

    return parse


def optional(parse: Callable[[str], T]) -> Callable[[str], T | None]:
    """The same parser, where the empty text means that nothing was said."""
    return lambda text: parse(text) if text else None


PATH = Parser(str, "PATH")
HOST_PORT = Parser(parse_host_port, "HOST:PORT")
HOSTS = Parser(parse_hosts, "NAME,...")
DURATION = Parser(parse_duration, "DURATION")
DURATION_OR_ZERO = Parser(parse_duration_or_zero, "DURATION")
SIZE = Parser(parse_size, "SIZE")
COUNT = Parser(parse_count, "N")
SWITCH = Parser(parse_switch, switch=True)


def _host(text: str) -> str:
    text = text.strip()
    if ":" in text:
        bare = text.removeprefix("[").removesuffix("]") if text.startswith("[") else text
        return str(ipaddress.IPv6Address(bare))
    if not _HOST_NAME.fullmatch(text):
        raise ValueError
    return text.lower().rstrip(".")


def _positive(number: int) -> int:
    if number < 1:
        raise ValueError("it must be at least 1")
    return number
