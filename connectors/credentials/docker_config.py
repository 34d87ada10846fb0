"""Secret type kubernetes.io/dockerconfigjson: the login for the Connector's registry, as `Authorization: Basic`.

It is what docker and podman write, and what Pods name as imagePullSecrets: logins of many registries in one value
(https://kubernetes.io/docs/concepts/containers/images/#config-json).
"""

from __future__ import annotations

from base64 import b64decode
from contextlib import suppress
from fnmatch import fnmatchcase
from types import MappingProxyType

import msgspec

from connectors.credentials.credential import Credential, CredentialError, Owned
from connectors.credentials.reading import PASSWORD, USERNAME, invalid
from connectors.credentials.scheme import basic, require
from connectors.expressions.template import Subject
from connectors.json_depth import too_deep
from connectors.objects.addresses import DEFAULT_PORTS, Address, AddressError, manifest_address, parse_address
from connectors.objects.connector import Connector
from connectors.objects.connector_class import AuthType
from connectors.objects.reasons import ConditionReason
from connectors.objects.secret import DOCKER_CONFIG, Secret, SecretValue

# core/v1, DockerConfigJsonKey.
CONFIG = ".dockerconfigjson"
# Names of Docker Hub: `docker login` writes the second, clients talk to the last.
_HUB = frozenset({"docker.io", "index.docker.io", "registry-1.docker.io"})
# What `docker login` writes behind a host, of the time when a registry had one of two versions.
_VERSIONS = (b"/v1", b"/v2")
_NEXT = "write it with docker login, or with kubectl create secret docker-registry"
# Logins that are looked at: a file of docker's has some ten.
MOST_LOGINS = 1_000


class DockerConfig:
    """The login whose registry is the Connector's: host and port, and the longest path before the address's own."""

    def owned(self, auth_type: AuthType) -> Owned:
        return Owned(headers=frozenset({b"authorization"}))

    def credential(self, auth_type: AuthType, secret: Secret, subject: Subject | None = None) -> Credential:
        if USERNAME not in secret.data and subject is not None and subject.connector is not None:
            # Nothing was found: say why.
            _login(secret, subject.connector)
        return basic(secret, require(secret, USERNAME), require(secret, PASSWORD))


def with_login(secret: Secret, connector: Connector) -> Secret:
    """The Secret with the login for this Connector as `username` and `password`, as templates of probes read them.

    Without these keys, if it has none: the scheme says why. Other types stay as they are.
    """
    if secret.type != DOCKER_CONFIG:
        return secret
    data = {key: value for key, value in secret.data.items() if key not in (USERNAME, PASSWORD)}
    with suppress(CredentialError):
        username, password = _login(secret, connector)
        data |= {USERNAME: SecretValue(username), PASSWORD: SecretValue(password)}
    return Secret(secret.metadata, secret.type, MappingProxyType(data))


# Values that never get a repr: msgspec shows the fields of a Struct.
class _Entry(msgspec.Struct, frozen=True):
    username: str = ""
    password: str = ""
    auth: str = ""
    identitytoken: str = ""
    registrytoken: str = ""

    def __repr__(self) -> str:
        return "_Entry()"


class _Config(msgspec.Struct, frozen=True):
    auths: dict[str, _Entry] = {}


def _login(secret: Secret, connector: Connector) -> tuple[bytes, bytes]:
    raw = require(secret, CONFIG).reveal()
    try:
        if too_deep(raw):
            raise ValueError
        auths = msgspec.json.decode(raw, type=_Config).auths
    except ValueError:
        raise invalid(secret, CONFIG, "is not what docker writes to config.json", _NEXT) from None
    address = manifest_address(connector.spec.address)
    if len(auths) > MOST_LOGINS:
        raise invalid(secret, CONFIG, f"has more than {MOST_LOGINS} logins", _NEXT)
    fitting = [(length, name) for name in auths if (length := _fit(name, address)) is not None]
    if not fitting:
        message = (
            f"key {CONFIG} of Secret {secret.metadata.name} has no login for {address.root.decode()}; add one: "
            f"docker login {address.authority.decode()}"
        )
        raise CredentialError(ConditionReason.SECRET_KEY_MISSING, message)
    return _parts(secret, auths[max(fitting)[1]])


def _fit(name: str, address: Address) -> int | None:
    """How long a part of the address the registry `name` names, None if it is another registry."""
    pattern = "*" in name
    try:
        # A label of it may be `*`, as for the kubelet; an address has no such character, so another one stands for it.
        parsed = parse_address(_url(name.replace("*", _STAR) if pattern else name, address))
    except AddressError:
        return None
    if parsed.port != address.port and not (parsed.scheme != address.scheme and _is_default(parsed, address)):
        return None
    if not _same_host(parsed.server_name.replace(_STAR, "*"), address.server_name, pattern=pattern):
        return None
    path = parsed.prefix.removesuffix(b"/")
    path = b"" if path in _VERSIONS else path
    if path and not (address.prefix + b"/").startswith(path + b"/"):
        return None
    return len(path) + (not pattern)


_STAR = "x--star--x"


def _url(name: str, address: Address) -> str:
    return name if "://" in name else f"{address.scheme}://{name}"


def _is_default(parsed: Address, address: Address) -> bool:
    """Without a port a login is for either scheme: `docker login` writes https to registries without TLS, too."""
    return parsed.port == DEFAULT_PORTS[parsed.scheme] and address.port == DEFAULT_PORTS[address.scheme]


def _same_host(known: str, host: str, *, pattern: bool) -> bool:
    if known in _HUB:
        return host in _HUB
    if not pattern:
        return known == host
    labels, own = known.split("."), host.split(".")
    return len(labels) == len(own) and all(map(fnmatchcase, own, labels))


def _parts(secret: Secret, entry: _Entry) -> tuple[bytes, bytes]:
    if entry.auth:
        try:
            login = b64decode(entry.auth, validate=True)
        except ValueError:
            login = b""
        username, colon, password = login.partition(b":")
        if not colon:
            raise invalid(secret, CONFIG, "has a login whose auth is not base64 of USER:PASSWORD", _NEXT)
        return username, password
    if entry.username or entry.password:
        return entry.username.encode(), entry.password.encode()
    if entry.identitytoken or entry.registrytoken:
        problem = "has an identity token for this registry, which is not used; put a user name and a password there"
        raise invalid(secret, CONFIG, problem, _NEXT)
    raise invalid(secret, CONFIG, "has a login for this registry without user name and password", _NEXT)
