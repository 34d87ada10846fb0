"""Where the API server is and as whom to ask it: kubeconfig or the pod's ServiceAccount."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import yaml

_SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")


class AccessError(Exception):
    """There is no usable way to the API server; the message says what was looked for and what to do."""


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
    """The flag, else the pod's ServiceAccount where there is one, else $KUBECONFIG.

    `flag` is a path, or empty. `environment` is the text of $KUBECONFIG; of the files that it lists, those that do
    not exist are left out.

    Raises:
        AccessError: there is none of the three.
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


class Connection:
    """What was read: kubernetes-asyncio's Configuration, the Authorization header, and the state of every file read.

    It has no readable repr: it holds a credential.
    """

    __slots__ = ("authority", "authorization", "configuration", "files", "state")

    def __init__(self, configuration: Any, files: tuple[Path, ...], state: State, authority: bytes = b"") -> None:
        """`authority`: the CA certificates in PEM by which the API server is verified; empty for the system's own."""
        self.configuration = configuration
        self.authority = authority
        self.files = files
        self.state = state
        self.authorization = _authorization(configuration)

    @property
    def host(self) -> str:
        """Scheme, host and port, without a slash at the end."""
        return str(self.configuration.host).rstrip("/")

    def changed_on_disk(self) -> bool:
        """Whether a file is another one than when it was read."""
        return state_of(self.files) != self.state

    def same_as(self, other: Connection) -> bool:
        """Whether the other would behave the same."""
        return (self.authorization, self.host, self.state) == (other.authorization, other.host, other.state)


State = tuple[tuple[int, int, int] | None, ...]


def state_of(files: tuple[Path, ...]) -> State:
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
    # Costs 40 MB and a quarter of a second: only where an API server is asked at all.
    from kubernetes_asyncio.client import Configuration
    from kubernetes_asyncio.config import ConfigException

    configuration = Configuration()
    contents = {path: _mapping(path) for path in access.kubeconfigs}
    files = tuple(_files_named(contents)) or (access.in_cluster.token_file, access.in_cluster.ca_file)
    state = state_of(files)
    if contents:
        _check(contents)
    try:
        await _read(access, configuration)
    except (ConfigException, OSError, ValueError, LookupError, TypeError, AttributeError, AssertionError) as error:
        raise AccessError(_explain(access, error)) from None
    except (aiohttp.ClientError, yaml.YAMLError) as error:
        raise AccessError(_explain(access, error)) from None
    if "@" in str(configuration.host):
        raise AccessError(
            f"kubeconfig {_names(access.kubeconfigs)} has a user part in the server's address; take it out"
        )
    return Connection(configuration, files, state, _authority(configuration))


async def _read(access: Access, configuration: Any) -> None:
    from kubernetes_asyncio.config import load_incluster_config, load_kube_config

    if access.kubeconfig is not None:
        joined = os.pathsep.join(map(str, access.kubeconfigs))
        await load_kube_config(joined, client_configuration=configuration, persist_config=False)
        return
    place = access.in_cluster
    service = {"KUBERNETES_SERVICE_HOST": place.host, "KUBERNETES_SERVICE_PORT": place.port}
    load_incluster_config(  # type: ignore[no-untyped-call]
        configuration,
        try_refresh_token=False,
        token_filename=str(place.token_file),
        cert_filename=str(place.ca_file),
        **({"environ": service} if place.host else {}),
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


def _check(contents: Mapping[Path, dict[str, Any]]) -> None:
    """A look at what kubernetes-asyncio reports badly, or would do without a word.

    Its own messages may quote a whole entry of a user, token and all (ConfigNode), so they are never passed on. A token
    of an auth-provider it refreshes without looking at the issuer's certificate (threat 22).
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


def _authorization(configuration: Any) -> str:
    """The header's value, without the newline at the end of a token file."""
    scheme, _, token = str(configuration.api_key.get("BearerToken") or "").partition(" ")
    token = token.strip()
    if not token:
        return ""
    if not (token.isascii() and token.isprintable()):
        raise AccessError("the token for the API server holds characters that no header can carry")
    return f"{scheme} {token}"


def _authority(configuration: Any) -> bytes:
    """The CA's file; kubernetes-asyncio writes one where a kubeconfig holds it inline."""
    path = configuration.ssl_ca_cert
    try:
        return Path(path).read_bytes() if path else b""
    except OSError:
        # Whoever opens a connection says what is wrong with it.
        return b""


def _explain(access: Access, error: Exception) -> str:
    if access.kubeconfig is not None:
        return (
            f"kubeconfig {_names(access.kubeconfigs)} cannot be used ({type(error).__name__}): its current context "
            "needs a cluster with a server, and a user whose token, files or plugin work; see kubectl config view"
        )
    place = access.in_cluster
    lacking = [str(path) for path in (place.token_file, place.ca_file) if not _has_content(path)]
    reason = f"{' and '.join(lacking)} missing or empty" if lacking else "KUBERNETES_SERVICE_HOST or _PORT is not set"
    return f"no way to an API server as a pod's ServiceAccount: {reason}; outside of a pod name a kubeconfig"


def _names(paths: tuple[Path, ...]) -> str:
    return ", ".join(map(str, paths))


def _has_content(path: Path) -> bool:
    found = _file_state(path)
    return found is not None and found[2] > 0
