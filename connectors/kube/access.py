"""Where the API server is and as whom to ask it: kubeconfig or the pod's ServiceAccount."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import aiohttp
import yaml

from connectors.process.no_proxy import NoProxy
from connectors.process.settings import foreign_variable

if TYPE_CHECKING:
    from kubernetes_asyncio.client import Configuration

_PORTS = {"http": 80, "https": 443}
_SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")


class AccessError(Exception):
    """The API server cannot be reached with what is configured; the message says what was looked for and what to do."""


@dataclass(frozen=True, slots=True)
class InCluster:
    """Where a pod finds its ServiceAccount. `host` and `port` empty: KUBERNETES_SERVICE_HOST and _PORT of the process.

    Source: Kubernetes documentation, "Accessing the Kubernetes API from a Pod".
    """

    token_file: Path = _SERVICE_ACCOUNT / "token"
    ca_file: Path = _SERVICE_ACCOUNT / "ca.crt"
    host: str = ""
    port: str = ""


@dataclass(frozen=True, slots=True)
class Access:
    """What was asked for: a kubeconfig file, or None for the pod's own ServiceAccount.

    `merged`: further kubeconfig files; what an earlier file says wins, as with a list in $KUBECONFIG.
    """

    kubeconfig: Path | None = None
    merged: tuple[Path, ...] = ()
    in_cluster: InCluster = InCluster()

    @property
    def kubeconfigs(self) -> tuple[Path, ...]:
        """All kubeconfig files, none for the pod's ServiceAccount."""
        return () if self.kubeconfig is None else (self.kubeconfig, *self.merged)


def choose_access(flag: str, environment: str, in_cluster: InCluster | None = None) -> Access:
    """The flag's kubeconfig, else the pod's ServiceAccount if there is one, else $KUBECONFIG.

    `flag` is a path, or empty. `environment` is the text of $KUBECONFIG; of the files that it lists, those that do
    not exist are left out.

    Raises:
        AccessError: none of the three exists.
    """
    place = in_cluster or InCluster()
    if flag:
        return Access(Path(flag), in_cluster=place)
    if place.token_file.is_file():
        return Access(in_cluster=place)
    listed = [Path(entry).expanduser() for entry in environment.split(os.pathsep) if entry]
    found = [path for path in listed if path.is_file()]
    if found:
        return Access(found[0], tuple(found[1:]), place)
    looked = f"$KUBECONFIG names no file that exists ({environment})" if listed else "$KUBECONFIG is not set"
    raise AccessError(
        f"no way to an API server: no --kubeconfig, no ServiceAccount token at {place.token_file}, and {looked}; "
        "name a kubeconfig, or run in a pod with a ServiceAccount"
    )


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An API server, and how it and this end show who they are.

    `host` is scheme, host and port, without a slash at the end. `ca_file`: the CA certificates in PEM by which it is
    verified, `authority` what is in it; empty for the system's own. `certificate` and `key`: files of a client
    certificate. `server_name`: the name in its certificate, empty for that of the host. `verify` is False if a
    kubeconfig says insecure-skip-tls-verify. `proxy`: the URL of a proxy on the way.
    """

    host: str
    ca_file: str = ""
    authority: bytes = b""
    certificate: str = ""
    key: str = ""
    server_name: str = ""
    verify: bool = True
    proxy: str = field(default="", repr=False)  # may hold a password


class Connection:
    """What was read: where the API server is, the Authorization header, and the state of every file read.

    It has no readable repr: it holds a credential.
    """

    __slots__ = ("authorization", "endpoint", "files", "state")

    def __init__(self, endpoint: Endpoint, authorization: str, files: tuple[Path, ...], state: FileStates) -> None:
        self.endpoint = endpoint
        self.authorization = authorization
        self.files = files
        self.state = state

    def changed_on_disk(self) -> bool:
        """Whether a file has changed since it was read."""
        return state_of(self.files) != self.state

    def same_as(self, other: Connection) -> bool:
        """Whether the other would behave the same."""
        mine, its = (self.authorization, self.endpoint.host, self.state), other.endpoint.host
        return mine == (other.authorization, its, other.state)


FileStates = tuple[tuple[int, int, int] | None, ...]


def state_of(files: tuple[Path, ...]) -> FileStates:
    """Inode, time and size of each file: all a rename, a write or the swap of a volume's symbolic link changes."""
    return tuple(map(_file_state, files))


def _file_state(path: Path) -> tuple[int, int, int] | None:
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_ino, stat.st_mtime_ns, stat.st_size


async def load(access: Access) -> Connection:
    """Read the files (and run a kubeconfig's credential plugin).

    Raises:
        AccessError: a file is missing or does not say what is needed. The message quotes nothing of a file.
    """
    return await _of_kubeconfigs(access.kubeconfigs) if access.kubeconfigs else _of_pod(access.in_cluster)


def _of_pod(place: InCluster) -> Connection:
    """The pod's ServiceAccount. Without kubernetes-asyncio: 38 MiB of memory for two files and two variables."""
    files = (place.token_file, place.ca_file)
    state = state_of(files)
    host = place.host or foreign_variable("KUBERNETES_SERVICE_HOST")
    port = place.port or foreign_variable("KUBERNETES_SERVICE_PORT")
    token, authority = (_content(path) for path in files)
    if lacking := [str(path) for path, content in zip(files, (token, authority), strict=True) if not content]:
        raise AccessError(_no_pod(f"{' and '.join(lacking)} missing or empty"))
    if not (host and port):
        raise AccessError(_no_pod("KUBERNETES_SERVICE_HOST or _PORT is not set"))
    url = f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"
    endpoint = Endpoint(url, str(place.ca_file), authority, proxy=_proxy(url))
    return Connection(endpoint, _authorization("Bearer", token.decode(errors="replace")), files, state)


def _proxy(url: str) -> str:
    """The proxy that the environment names for this server, as kubectl reads it; empty for none.

    Upper case goes first (golang.org/x/net/http/httpproxy). Not left to aiohttp, which knows no ranges in NO_PROXY.

    Raises:
        AccessError: it is of a kind that cannot be used. The message does not quote it: it may hold a password.
    """
    try:
        server = urlsplit(url)
        port = server.port or _PORTS[server.scheme]
    except (ValueError, KeyError):
        return ""  # what a kubeconfig names is no URL: the first request will say so
    name = f"{server.scheme}_PROXY".upper()
    text = foreign_variable(name) or foreign_variable(name.lower())
    direct = NoProxy.parse(foreign_variable("NO_PROXY") or foreign_variable("no_proxy"))
    if not text or direct.covers(server.hostname or "", port):
        return ""
    proxy = text if "://" in text else f"http://{text}"
    if not re.match(r"https?://[^/]", proxy, re.IGNORECASE):
        raise AccessError(f"{name} is no http or https URL; correct it, or put the API server's address into NO_PROXY")
    return proxy


def _no_pod(reason: str) -> str:
    return f"no way to an API server as a pod's ServiceAccount: {reason}; outside of a pod name a kubeconfig"


async def _of_kubeconfigs(paths: tuple[Path, ...]) -> Connection:
    # It costs 38 MiB and a quarter of a second, with any of its modules: only if there is a kubeconfig.
    from kubernetes_asyncio.client import Configuration
    from kubernetes_asyncio.config import ConfigException, load_kube_config

    configuration = Configuration()
    contents = {path: _mapping(path) for path in paths}
    files = tuple(_files_named(contents))
    state = state_of(files)
    _require_usable(contents)
    joined = os.pathsep.join(map(str, paths))
    try:
        await load_kube_config(joined, client_configuration=configuration, persist_config=False)
    except (ConfigException, OSError, ValueError, LookupError, TypeError, AttributeError, AssertionError) as error:
        raise AccessError(_unusable(paths, error)) from None
    except (aiohttp.ClientError, yaml.YAMLError) as error:
        raise AccessError(_unusable(paths, error)) from None
    endpoint = _endpoint(configuration)
    if "@" in endpoint.host:
        raise AccessError(f"kubeconfig {_names(paths)} has a user part in the server's address; take it out")
    scheme, _, token = str(configuration.api_key.get("BearerToken") or "").partition(" ")
    return Connection(endpoint, _authorization(scheme, token), files, state)


def _endpoint(configuration: Configuration) -> Endpoint:
    """What kubernetes-asyncio has read; it writes files of its own for what stands in a kubeconfig itself."""
    ca_file, host = configuration.ssl_ca_cert or "", str(configuration.host).rstrip("/")
    return Endpoint(
        host,
        ca_file,
        _content(Path(ca_file)) if ca_file else b"",
        configuration.cert_file or "",
        configuration.key_file or "",
        configuration.tls_server_name or "",
        bool(configuration.verify_ssl),
        # What a kubeconfig names (proxy-url) counts whatever NO_PROXY says, as it does for kubectl.
        configuration.proxy or _proxy(host),
    )


def _files_named(contents: Mapping[Path, dict[str, Any]]) -> Iterator[Path]:
    """The kubeconfigs and every file they name."""
    for path, content in contents.items():
        yield path
        for section, keys in (
            ("clusters", ("certificate-authority",)),
            ("users", ("tokenFile", "client-certificate", "client-key")),
        ):
            for entry in _entries(content, section):
                named = entry.get(section[:-1])
                if isinstance(named, dict):
                    yield from (path.parent / str(named[key]) for key in keys if named.get(key))


def _require_usable(contents: Mapping[Path, dict[str, Any]]) -> None:
    """Refuse what kubernetes-asyncio reports badly, or does in silence.

    Its own messages may quote a whole entry of a user, token and all (ConfigNode), so they are never passed on. It
    refreshes the token of an auth-provider without looking at the issuer's certificate (threat 22).
    """
    paths = tuple(contents)
    current = next((str(name) for content in contents.values() if (name := content.get("current-context"))), "")
    if not current:
        raise AccessError(f"kubeconfig {_names(paths)} has no current-context; set one (kubectl config use-context)")
    context = _named(contents, "contexts", current).get("context")
    user = str(context.get("user")) if isinstance(context, dict) else ""
    login = _named(contents, "users", user).get("user")
    if isinstance(login, dict) and "auth-provider" in login:
        raise AccessError(
            f"kubeconfig {_names(paths)} has an auth-provider for its current user, which is not supported; "
            "use a credential plugin (exec), for example kubelogin"
        )


def _named(contents: Mapping[Path, dict[str, Any]], section: str, name: str) -> dict[str, Any]:
    """The entry of that name; of two in several files the first counts, as for kubectl."""
    entries = (entry for content in contents.values() for entry in _entries(content, section))
    return next((entry for entry in entries if str(entry.get("name")) == name), {})


def _entries(content: dict[str, Any], section: str) -> Iterator[dict[str, Any]]:
    found = content.get(section)
    return (entry for entry in (found if isinstance(found, list) else ()) if isinstance(entry, dict))


def _mapping(path: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise AccessError(f"kubeconfig {path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise AccessError(f"kubeconfig {path} is not UTF-8") from None
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise AccessError(f"kubeconfig {path} is not YAML, at line {line}") from None
    except yaml.YAMLError:
        raise AccessError(f"kubeconfig {path} is not YAML") from None
    if not isinstance(content, dict):
        raise AccessError(f"kubeconfig {path} holds no mapping")
    return content


def _authorization(scheme: str, token: str) -> str:
    """The header's value, without the newline at the end of a token file; empty without a token."""
    token = token.strip()
    if not token:
        return ""
    if not (token.isascii() and token.isprintable()):
        raise AccessError("the token for the API server holds characters that no header can carry")
    return f"{scheme} {token}"


def _content(path: Path) -> bytes:
    """Empty if it cannot be read: the session that is opened with it will say what is wrong."""
    try:
        return path.read_bytes()
    except OSError:
        return b""


def _unusable(paths: tuple[Path, ...], error: Exception) -> str:
    return (
        f"kubeconfig {_names(paths)} cannot be used ({type(error).__name__}): its current context "
        "needs a cluster with a server, and a user whose token, files or plugin work; see kubectl config view"
    )


def _names(paths: tuple[Path, ...]) -> str:
    return ", ".join(map(str, paths))
