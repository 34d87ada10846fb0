"""The proxies between this program and tools: which of them a Connector's requests go through. Pure.

Traffic and probes ask the same Egress (threat 23). The operator names proxies and their credentials by flag; a class or
a Connector chooses one of the names, or none.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from connectors.http.message import Headers, RequestHead
from connectors.objects.addresses import Address
from connectors.objects.secret import SecretValue
from connectors.process.no_proxy import NoProxy
from connectors.process.parsers import UNNAMED

# In the annotation: no proxy at all.
NONE = "none"
# Names of proxies that a message lists.
_LISTED = 10


class UnknownProxyError(Exception):
    """The annotation names no proxy. The message says which there are."""


@dataclass(frozen=True, slots=True, eq=False)
class UpstreamProxy:
    """A proxy that the operator has named. `address` has no path.

    `with_login`: it asks who calls; `login` is then `user:password`, None while that is not known. `version` counts the
    logins: connections of one are not used under another. `tunnels`: whether http goes by CONNECT too, as https does.
    """

    name: str
    address: Address
    with_login: bool = False
    login: SecretValue | None = None
    version: int = 0
    tunnels: bool = False

    @property
    def label(self) -> str:
        """What tells its connections from those of other proxies, of other logins and of the other form."""
        return f"{self.name}/{self.version}/{'tunnel' if self.tunnels else 'forward'}"

    def needs_tunnel(self, address: Address) -> bool:
        """Whether requests to this address go through a tunnel, so that the proxy sees none of them."""
        return self.tunnels or address.scheme == "https"

    def tunnelling(self) -> UpstreamProxy:
        """The same for connections that are tunnels even over http."""
        return replace(self, tunnels=True)

    def fields(self) -> Headers:
        """The field by which it knows this program (RFC 7617 section 2); nothing if it asks for none."""
        if self.login is None:
            return ()
        return ((b"Proxy-Authorization", b"Basic " + b64encode(self.login.reveal())),)


def connect_request(proxy: UpstreamProxy, address: Address) -> bytes:
    """The request for a tunnel to the tool (RFC 9110 section 9.3.6). The port is always written, as it has to be."""
    host = f"[{address.host}]" if ":" in address.host else address.server_name
    where = f"{host}:{address.port}".encode("ascii")
    fields = b"".join(b"%b: %b\r\n" % field for field in ((b"Host", where), *proxy.fields()))
    return b"CONNECT %b HTTP/1.1\r\n%b\r\n" % (where, fields)


def absolute_form(proxy: UpstreamProxy, address: Address, head: RequestHead) -> RequestHead:
    """A request to an http tool as a proxy takes it (RFC 9112 section 3.2.2), with the proxy's own credentials.

    `OPTIONS *` is the request for the bare root (section 3.2.4).
    """
    path = b"" if head.target == b"*" else head.target
    return RequestHead(head.method, address.root + path, head.headers + proxy.fields(), head.version)


def login_refused(proxy: UpstreamProxy) -> str:
    """What to tell where the proxy answers 407 (RFC 9110 section 15.5.8)."""
    if not proxy.with_login:
        return (
            f"upstream proxy {proxy.name} asks for credentials; an operator gives them by --upstream-proxy-credentials"
        )
    what = "refused the credentials that the operator gave for it; an operator corrects their file or Secret"
    return f"upstream proxy {proxy.name} {what}"


@dataclass(frozen=True, slots=True, eq=False)
class Egress:
    """How one Connector's requests leave: through `proxy`, but for the hosts that `no_proxy` covers."""

    proxy: UpstreamProxy | None = None
    no_proxy: NoProxy = field(default_factory=NoProxy)

    def toward(self, address: Address) -> UpstreamProxy | None:
        """The proxy on the way to this address, None if there is none: the one place that decides (threat 23).

        Loopback is this machine's and never the proxy's.
        """
        if self.proxy is None or self.no_proxy.covers(address.host, address.port):
            return None
        # RFC 6761 section 6.3: so is every name below localhost, which NO_PROXY in Go does not know.
        return None if address.server_name.endswith(".localhost") else self.proxy


DIRECT = Egress()


@dataclass(frozen=True, slots=True, eq=False)
class UpstreamProxies:
    """All proxies that there are, by name, and the hosts that none of them is asked for."""

    by_name: Mapping[str, UpstreamProxy] = field(default_factory=dict)
    no_proxy: NoProxy = field(default_factory=NoProxy)
    # One instance for all Connectors that chose it: what did not change is told by identity.
    _egresses: Mapping[str, Egress] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        made = {name: Egress(proxy, self.no_proxy) for name, proxy in self.by_name.items()}
        # Frozen: hence the setter.
        object.__setattr__(self, "_egresses", MappingProxyType(made))

    def chosen(self, choice: str | None) -> Egress:
        """The way out by what the annotation says; None: it says nothing, and the default counts.

        Raises:
            UnknownProxyError: there is no proxy of that name.
        """
        if choice == NONE:
            return DIRECT
        if choice is None:
            return self._egresses.get(UNNAMED, DIRECT)
        found = self._egresses.get(choice)
        if found is None:
            raise UnknownProxyError(
                f"names no upstream proxy of this installation; write {_or(self.by_name)}, or ask an operator for "
                "--upstream-proxy NAME=URL"
            )
        return found

    def with_logins(self, logins: Mapping[str, SecretValue]) -> UpstreamProxies:
        """The same with these logins, by the proxy's name; the same instance if none of them is another one."""
        known = {name: proxy for name, proxy in self.by_name.items() if proxy.with_login}
        if all(proxy.login is logins.get(name) for name, proxy in known.items()):
            return self
        changed = {
            name: replace(proxy, login=logins.get(name), version=proxy.version + 1)
            for name, proxy in known.items()
            if proxy.login is not logins.get(name)
        }
        return UpstreamProxies(MappingProxyType({**self.by_name, **changed}), self.no_proxy)


NO_PROXIES = UpstreamProxies()


def _or(names: Collection[str]) -> str:
    listed = sorted(names)[:_LISTED]
    return " or ".join([", ".join([*listed, "..."] if len(names) > _LISTED else listed), NONE]) if names else NONE
