"""The settings of the proxies between this program and tools, one for all that dial tools (threat 23). Pure."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType

from connectors.dial.upstream_proxy import NONE, UpstreamProxies, UpstreamProxy
from connectors.objects.addresses import Address, AddressError, parse_address
from connectors.process.declaration import Parser, SettingError, setting
from connectors.process.no_proxy import NoProxy
from connectors.process.parsers import Named, parse_named


def parse_upstream_proxies(text: str) -> tuple[tuple[str, Address], ...]:
    """`[NAME=]URL,...`.

    Raises:
        ValueError: one of them is not the URL of a proxy.
    """
    named = parse_named(text)
    if NONE in dict(named):
        raise ValueError(f"the name {NONE} stands for no proxy in annotations; give it another one")
    return tuple((name, _proxy(url)) for name, url in named)


def _proxy(url: str) -> Address:
    if "@" in url:
        raise ValueError(
            "a URL holds a user name or a password, and a list of processes shows it; write them as user:password "
            "into a file, and name that by --upstream-proxy-credentials"
        )
    try:
        address = parse_address(url)
    except AddressError as error:
        raise ValueError(f"the URL of a proxy {error}") from None
    if address.scheme == "https":
        raise ValueError("TLS to the proxy itself is not spoken; write http://, inside of which https stays https")
    if address.path not in (b"", b"/"):
        raise ValueError("the URL of a proxy has no path")
    return Address(address.scheme, address.host, address.port, b"")


def _rules(text: str) -> str:
    NoProxy.parse(text)
    return text


@dataclass(frozen=True, slots=True)
class EgressSettings:
    """`proxies` are known by name. `files`: paths of their credentials, by name; `no_proxy`: rules as they are written.

    `secrets`: names of Secrets of the system namespace with credentials, by the proxy's name.
    """

    proxies: tuple[tuple[str, Address], ...] = setting(
        "--upstream-proxy", "", Parser(parse_upstream_proxies, "[NAME=]URL", repeats=True),
        "a proxy on the way to tools, whose names it resolves; without NAME it is everybody's, one with a NAME is for "
        "classes and Connectors with the annotation connectors.cpaas.io/upstream-proxy; commas or more flags for more",
        "http://proxy.example:3128,lab=http://192.0.2.1:8080",
    )  # fmt: skip
    files: Named = setting(
        "--upstream-proxy-credentials", "", Parser(parse_named, "[NAME=]PATH", repeats=True),
        "the file with `user:password` for the proxy of that NAME; read again when it changes",
        "/etc/connectors/proxy/login,lab=/etc/connectors/lab/login",
    )  # fmt: skip
    no_proxy: str = setting(
        "--no-proxy", "", Parser(_rules, "RULE,..."),
        "hosts that are reached without an upstream proxy, as NO_PROXY names them: domains, addresses, CIDRs, `*`",
        ".svc,.cluster.local,10.0.0.0/8",
    )  # fmt: skip
    # Declared where there is a cluster (connectors/kube/settings.py).
    secrets: Named = ()

    def require_fit(self) -> None:
        """Whether they fit together.

        Raises:
            SettingError: credentials are of no proxy, or a proxy has two.
        """
        known = {name for name, _ in self.proxies}
        flags = (("--upstream-proxy-credentials", self.files), ("--upstream-proxy-secret", self.secrets))
        for flag, named in flags:
            if lost := sorted({name for name, _ in named} - known):
                raise SettingError(f"{flag}: there is no proxy {lost[0]}; name it by --upstream-proxy, too")
        if both := sorted(dict(self.files).keys() & dict(self.secrets).keys()):
            raise SettingError(
                f"--upstream-proxy-credentials, --upstream-proxy-secret: proxy {both[0]} has both; keep one of them"
            )

    def compiled(self) -> UpstreamProxies:
        """What Connectors choose from. No login is known yet."""
        with_login = dict(self.files).keys() | dict(self.secrets).keys()
        proxies = {name: UpstreamProxy(name, address, name in with_login) for name, address in self.proxies}
        return UpstreamProxies(MappingProxyType(proxies), NoProxy.parse(self.no_proxy))
