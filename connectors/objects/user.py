"""The user behind a request: authentication.k8s.io/v1 UserInfo, as token reviews and admission reviews have it."""

from __future__ import annotations

from typing import NamedTuple

from msgspec import Struct, field

_SERVICE_ACCOUNT = "system:serviceaccount:"
_POD_NAME = "authentication.kubernetes.io/pod-name"


class ServiceAccount(NamedTuple):
    """A ServiceAccount by name."""

    namespace: str
    name: str


class User(Struct, frozen=True):
    """A user, human or not. What Go writes as null counts as empty.

    Source: Kubernetes API reference, TokenReviewStatus.user and AdmissionRequest.userInfo.
    """

    username: str = ""
    uid: str = ""
    groups: tuple[str, ...] | None = ()
    extra: dict[str, tuple[str, ...] | None] | None = field(default_factory=dict)

    @property
    def service_account(self) -> ServiceAccount | None:
        """`system:serviceaccount:NAMESPACE:NAME`, the form that no other user can have; None for other users."""
        namespace, _, name = self.username.removeprefix(_SERVICE_ACCOUNT).partition(":")
        return ServiceAccount(namespace, name) if self.username.startswith(_SERVICE_ACCOUNT) else None

    @property
    def pod(self) -> str:
        """The Pod that the token was made for, as the API server put it into `extra`; empty if it was for none."""
        names = (self.extra or {}).get(_POD_NAME)
        return names[0] if names else ""

    def __str__(self) -> str:
        account = self.service_account
        return f"{account.namespace}/{account.name}" if account else self.username


def service_account_user(namespace: str, name: str) -> User:
    """The user that a ServiceAccount is."""
    return User(username=f"{_SERVICE_ACCOUNT}{namespace}:{name}")
