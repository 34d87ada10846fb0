"""The values that the steps of a decision take and give."""

from __future__ import annotations

from typing import NamedTuple

from connectors.objects.connector import ConnectorKey
from connectors.objects.user import User
from connectors.plan import Plan, Target, trusting
from connectors.snapshot import Snapshot
from connectors.tls.pool import Trust
from proxy.callers.answers import Evidence
from proxy.callers.tokens import Presented


class Permission(NamedTuple):
    """Whether a caller may use a Connector; if not, `message` says what it lacks. Without an answer it may not."""

    # No, unless something has said yes.
    allowed: bool = False
    message: str = "it is not known that this caller may use this Connector"


class Facts(NamedTuple):
    """What I/O has gathered about the caller for a decision.

    `authenticated` says that callers must prove who they are; `caller` is the one who did, if any.
    `misplaced`: the token stood in a field that the Connector's class does not read; `presented` is that token.
    `problem`: why a token of the caller's is not valid, empty if that is not known.
    `evidence` is what the API server's answers rest on, None if it was not asked.
    """

    authenticated: bool = False
    caller: User | None = None
    permission: Permission = Permission()
    misplaced: bool = False
    presented: Presented | None = None
    evidence: Evidence | None = None
    problem: str = ""


class Route(NamedTuple):
    """Which Connector a request means, and what is left for the tool.

    `client_prefix` is the part of the request's path that named the Connector, as it was sent; `tool_prefix` is what
    of it the tool sees (`/v2` in the registry form); `extension` is the EXT of NAME@EXT. `host_key` is the Connector
    that Host names, if any; `key` is another one if that Connector's class leaves the naming to the path.
    """

    key: ConnectorKey
    plan: Plan | None
    authority: bytes
    client_prefix: bytes
    tool_prefix: bytes
    rest: bytes
    query: bytes
    extension: str = ""
    host_key: ConnectorKey | None = None

    def __repr__(self) -> str:
        return f"Route({self.key})"  # query and header values can hold a caller's token (threat 27)


class Mount(NamedTuple):
    """A path prefix on the client's side and the one on the tool's side that it stands for. Neither ends in a slash."""

    client: bytes
    tool: bytes


class PathRule(NamedTuple):
    """How a client's path becomes the tool's: what goes before it, and how many bytes of it fall away.

    `bare` is the path if nothing is left.
    """

    prefix: bytes
    strip: int
    bare: bytes

    def target(self, path: bytes, query: bytes) -> bytes:
        """The request-target, before the credential's part of the query."""
        rest = path[self.strip :]
        return (self.prefix + rest if rest else self.bare) + query


class Forward(NamedTuple):
    """A request that may go on: to whom, for what, and how answers map back.

    `request_target` is what is sent, in its origin form, made from the client's path by `path_rule`. `mounts` are tried
    in order when an answer names a place of the tool's own origin. `spent` is the token that let the caller in, of
    which nothing may reach the tool. `mark` is what CDN-Loop says of this hop, empty if nothing (proxy/loops.py).
    """

    plan: Plan
    target: Target
    request_target: bytes
    path_rule: PathRule
    authority: bytes
    mounts: tuple[Mount, ...]
    spent: Presented | None = None
    mark: bytes = b""

    def marked(self, mark: bytes) -> Forward:
        """The same, leaving a mark."""
        return self._replace(mark=mark)

    def asking(self, request_target: bytes, spent: Presented | None) -> Forward:
        """The same for another request-target and another token of the caller's."""
        # Not _replace: it takes four times as long.
        return Forward(
            self.plan, self.target, request_target, self.path_rule, self.authority, self.mounts, spent, self.mark
        )

    def __repr__(self) -> str:
        return f"Forward({self.plan.key}, {self.target.address})"  # see Route


def trust_now(plan: Plan, snapshot: Snapshot) -> Trust:
    """The CAs for a request that `plan` let through: it may have waited since, while CAs have changed.

    If the Connector is gone, those of its last Plan count: a request that was let through may finish.
    """
    current = snapshot.plans.get(plan.key)
    return current.trust if current and current.uid == plan.uid else plan.trust


def target_now(forward: Forward, snapshot: Snapshot) -> Target:
    """The Target of a request that begins now, or goes on after it has waited: with the CAs that count now."""
    trust = trust_now(forward.plan, snapshot)
    return forward.target if trust is forward.plan.trust else trusting(forward.target, trust)
