"""The settings of dialling, one for all that dial tools: what a proxy reaches, probes must reach too. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from connectors.dial.egress_settings import EgressSettings
from connectors.dial.guard import DialGuard
from connectors.process.declaration import Parser, setting
from connectors.process.parsers import COUNT, Named, choice, parse_duration_or_zero
from connectors.tls.pool import TlsVersion

# Seconds. A name server's own answers tell how long they count, and the system does not pass that on.
MAX_DNS_CACHE = 60.0


def parse_dns_cache(text: str) -> float:
    """A duration of a minute at most, or 0.

    Raises:
        ValueError: anything else.
    """
    seconds = parse_duration_or_zero(text)
    if seconds > MAX_DNS_CACHE:
        raise ValueError("it must be at most 1m, or 0 for no cache")
    return seconds


TLS_VERSION = Parser(choice(TlsVersion), "1.2|1.3")


@dataclass(frozen=True, slots=True)
class DialSettings:
    """`guard`: which addresses may be dialled. `dns_cache`: seconds that a name server's answer counts, 0 for once.

    `lookups`: at once, of one namespace. `minimum`: the lowest version of TLS toward tools. `egress`: the proxies on
    the way.
    """

    guard: DialGuard = field(default_factory=DialGuard)
    # As long as an answer counts, a tool that moves is looked for in the wrong place; a burst asks once.
    dns_cache: float = setting(
        "--dns-cache", "5s", Parser(parse_dns_cache, "DURATION"),
        "that the addresses of a tool's name count; 0: they are looked up each time",
    )  # fmt: skip
    lookups: int = setting(
        "--max-lookups-per-namespace", "32", COUNT, "names of one namespace's tools looked up at once; more wait", "64"
    )
    minimum: TlsVersion = setting("--upstream-tls-min", "1.2", TLS_VERSION, "lowest version of TLS toward tools", "1.3")
    egress: EgressSettings = field(default_factory=EgressSettings)

    def with_proxy_secrets(self, secrets: Named) -> DialSettings:
        """The same with the Secrets that hold upstream proxies' credentials, of which only a cluster has any."""
        return replace(self, egress=replace(self.egress, secrets=secrets))


def dialing_on_this_machine() -> DialSettings:
    """The settings of a command that serves tools on this machine, as on a laptop."""
    return DialSettings(DialGuard(loopback=True))
