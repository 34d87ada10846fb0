"""What `connectors get NAME -o snippet` prints: lines to paste that make each client send a caller's token.

The rules: the token is read from its file when it is needed, since it expires; it stands in no process's arguments,
which every user of a machine can read; and clients send it to the host of the proxy's URL and to no other. Pure: text.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from connectors.objects.conditions import ConditionType
from standalone.objects import ConnectorObject

TOKEN_FOLDER = "/var/run/secrets/connectors"  # noqa: S105 - a folder
# Seconds that a Pod's token lives; the kubelet renews it at four fifths of that, and takes no less than 600.
EXPIRATION = 1800
# The proxy takes any; clients want one beside a password.
USERNAME = "token"

_URL = re.compile(r"https?://[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?(:[0-9]{1,5})?(/[A-Za-z0-9._~/-]*)?")
_NAME = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?")


class SnippetError(Exception):
    """There is nothing to paste; the message says why."""


@dataclass(frozen=True, slots=True)
class SnippetTarget:
    """A Connector as its clients see it. `url` has no slash at its end; `token_file` is where their token is read."""

    name: str
    url: str
    token_file: str

    @property
    def authority(self) -> str:
        """The URL's host, with its port if it has one."""
        return urlsplit(self.url).netloc

    @property
    def host(self) -> str:
        """The URL's host."""
        return self.authority.partition(":")[0]

    @property
    def read_token(self) -> str:
        """The shell's word for the token."""
        return f'"$(cat {shlex.quote(self.token_file)})"'

    @property
    def netrc(self) -> str:
        """A command that prints the token as a line of a netrc file, which clients look up by host."""
        return f"printf 'machine %s login {USERNAME} password %s\\n' {shlex.quote(self.host)} {self.read_token}"


def default_token_file(name: str) -> str:
    """Where the Pod part of the snippet puts the token."""
    return f"{TOKEN_FOLDER}/{name}/token"


def target_of(connector: ConnectorObject, token_file: str = "") -> SnippetTarget:
    """What the snippet is about; without a `token_file` the one of the Pod part.

    Raises:
        SnippetError: the Connector has no proxy address, or one that is not plain enough to stand in a shell's comment.
    """
    name, proxy = connector.metadata.name, connector.status.proxy
    if proxy is None:
        raise SnippetError(f"{connector.metadata.namespace}/{name} has no proxy address: {_why(connector)}")
    url = proxy.http_address.url.rstrip("/")
    if not _URL.fullmatch(url) or not _NAME.fullmatch(name):
        raise SnippetError(f"the proxy address or the name of {connector.metadata.namespace}/{name} is malformed")
    return SnippetTarget(name, url, token_file or default_token_file(name))


def snippet(target: SnippetTarget) -> str:
    """All parts, each behind a line with its title."""
    parts = (f"# ---- {title}\n{part(target)}" for title, part in PARTS.items())
    return "\n".join(parts)


def _git(target: SnippetTarget) -> str:
    key = shlex.quote(f"credential.{target.url}.helper")
    answer = f'printf "username={USERNAME}\\npassword=%s\\n" {target.read_token}'
    helper = f'!f() {{ test "$1" != get || {answer}; }}; f'
    return f"""\
# git asks the helper for URLs below this one alone. The empty one before it keeps those out that would store the token.
git config --global --replace-all {key} ''
git config --global --add {key} {shlex.quote(helper)}
git clone {shlex.quote(f"{target.url}/REPOSITORY.git")}
"""


def _curl(target: SnippetTarget) -> str:
    return f"""\
# curl looks the token up by host: another URL, or a redirect to another host, gets none.
{target.netrc} |
  curl --netrc-file /dev/stdin {shlex.quote(f"{target.url}/")}
"""


def _pip(target: SnippetTarget) -> str:
    trusted = f" PIP_TRUSTED_HOST={shlex.quote(target.authority)}" if _plain(target) else ""
    return f"""\
# pip looks the token up by host, too, in a file of mode 0600 that goes with the parentheses.
(
  NETRC=$(mktemp) && export NETRC && trap 'rm -f "$NETRC"' EXIT && trap 'exit 1' HUP INT TERM
  {target.netrc} >"$NETRC"
  PIP_INDEX_URL={shlex.quote(f"{target.url}/simple/")}{trusted} pip install PACKAGE
)
"""


def _npm(target: SnippetTarget) -> str:
    return f"""\
# npm reads the variable when it runs, and sends it to this host alone. Scripts of packages can read it as well:
# --ignore-scripts, or a token that is good for this Connector alone, keeps it from them. Once per project:
cat >>.npmrc <<'END'
registry={target.url}/
replace-registry-host=always
//{target.authority}/:_authToken=${{CONNECTORS_TOKEN}}
END
CONNECTORS_TOKEN={target.read_token} npm install PACKAGE
"""


def _registry(target: SnippetTarget) -> str:
    verify, note = "", ""
    if _plain(target):
        verify = " --tls-verify=false"
        note = (
            f'# docker takes plain HTTP for what its daemon.json lists: "insecure-registries": ["{target.authority}"]\n'
        )
    login = f"--username {USERNAME} --password-stdin {shlex.quote(target.authority)} <{shlex.quote(target.token_file)}"
    image = f"{target.authority}{urlsplit(target.url).path}/REPOSITORY:TAG"
    return f"""\
# Both keep the token under this host in a file of yours, until `logout`. Log in again when it has expired.
skopeo login{verify} {login}
skopeo inspect{verify} {shlex.quote(f"docker://{image}")}
{note}docker login {login}
docker pull {shlex.quote(image)}
"""


def _pod(target: SnippetTarget) -> str:
    folder = f"{TOKEN_FOLDER}/{target.name}"
    return f"""\
spec:
  containers:
    - name: main
      volumeMounts:
        - name: c-{target.name}
          mountPath: {folder}
          readOnly: true
  volumes:
    - name: c-{target.name}
      projected:
        sources:
          - serviceAccountToken:
              audience: {target.url}
              expirationSeconds: {EXPIRATION}
              path: token
"""


# Title -> part, in the order in which they are printed.
PARTS: Mapping[str, Callable[[SnippetTarget], str]] = {
    "git": _git,
    "curl": _curl,
    "pip": _pip,
    "npm": _npm,
    "docker and skopeo": _registry,
    "Pod: the token's file": _pod,
}


def _plain(target: SnippetTarget) -> bool:
    return target.url.startswith("http://")


def _why(connector: ConnectorObject) -> str:
    found = connector.status.condition(ConditionType.PROXY_SERVICE_READY)
    if found is None:
        found = connector.status.condition(ConditionType.READY)
    if found is None:
        return "it has no status yet"
    return f"{found.type.value} is {found.status.value}, {found.reason or 'for no reason given'}" + (
        f": {found.message}" if found.message else ""
    )
