"""Objects and requests of these tests: Connectors of one tool with a credential each, and callers with tokens."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

from proxy.settings import ClientAuth, ProxySettings
from tests.peers.dialogue import message
from tests.peers.manifests import Manifest, auth, bearer_token, caller_token, connector, connector_class, secret

HOST = b"c-tool.default.localhost"
NO_HOST = b"proxy.example"
"""A host that names no Connector: the path does."""
TOKEN = b"c4ller.t0ken.of.one"
SECOND = b"c4ller.t0ken.of.two"
"""Its owner may use nothing here."""
CALLERS = ProxySettings(client_auth=ClientAuth.TOKEN)
KEYED = connector_class(
    "keyed",
    [
        {
            "name": "key",
            "secretType": "Opaque",
            "generator": {"query": [{"name": "API_KEY", "value": "{{ .Secret.StringData.key }}"}]},
        }
    ],
    proxy={"authExtractor": {"header": "PRIVATE-TOKEN"}},
)
EXTENDED = connector_class("extended", addressExtensions=[{"name": "api", "type": "string"}])


def named(name: bytes) -> bytes:
    """The host that names a Connector of namespace `default`."""
    return b"c-" + name + b".default.localhost"


def bearer(token: bytes = TOKEN) -> bytes:
    return b"Authorization: Bearer " + token


def basic(token: bytes = TOKEN) -> bytes:
    return b"Authorization: Basic " + b64encode(b"any:" + token)


def asking(
    target: bytes = b"/x", *lines: bytes, method: bytes = b"GET", host: bytes = HOST, body: bytes = b""
) -> bytes:
    """A request with Host first; with a length, where there is a body."""
    length = (b"Content-Length: %d" % len(body),) if body else ()
    return message(method + b" " + target + b" HTTP/1.1", b"Host: " + host, *lines, *length, body=body)


def by_path() -> Manifest:
    """A class that leaves the naming of the Connector to the path."""
    made = connector_class("by-path")
    made["metadata"]["annotations"] = {"connectors.cpaas.io/proxy-resolver": "path"}
    return made


def objects(address: str, **spec: Any) -> tuple[Manifest, ...]:
    """Connectors `tool` (of which `spec` is more), `other`, `keyed`, `extended` and `front`; two callers.

    `other` has a path prefix, `keyed` a credential in the query, `extended` a second address; the class of `front`
    leaves the naming to the path.
    """
    second = [{"name": "api", "value": address + "/api"}]
    return (
        connector("tool", address, **{"auth": auth("bearerAuth", "one"), **spec}),
        connector("other", address + "/pre", auth=auth("bearerAuth", "two")),
        connector("keyed", address, "keyed", auth=auth("key", "key")),
        connector("extended", address + "/root", "extended", addressExtensions=second),
        connector("front", address, "by-path"),
        KEYED,
        EXTENDED,
        by_path(),
        bearer_token("one", "injected-one"),
        bearer_token("two", "injected-two"),
        secret("key", {"key": "injected-key"}),
        caller_token("may", TOKEN.decode()),
        caller_token("may-not", SECOND.decode(), namespace="elsewhere"),
    )
