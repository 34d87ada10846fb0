from __future__ import annotations

import msgspec
import pytest

from connectors.objects.user import ServiceAccount, User, service_account_user


@pytest.mark.parametrize(
    ("username", "account", "text"),
    [
        ("system:serviceaccount:team:builder", ServiceAccount("team", "builder"), "team/builder"),
        ("jane", None, "jane"),
        ("system:node:a", None, "system:node:a"),
        ("", None, ""),
        ("xsystem:serviceaccount:team:builder", None, "xsystem:serviceaccount:team:builder"),
    ],
)
def test_a_service_account_is_known_by_its_form(username: str, account: ServiceAccount | None, text: str) -> None:
    user = User(username)
    assert (user.service_account, str(user)) == (account, text)


def test_the_user_of_a_service_account() -> None:
    assert service_account_user("team", "builder").service_account == ServiceAccount("team", "builder")


@pytest.mark.parametrize(
    ("raw", "pod"),
    [
        (b'{"extra": {"authentication.kubernetes.io/pod-name": ["p-1"]}}', "p-1"),
        (b'{"extra": {"authentication.kubernetes.io/pod-name": []}}', ""),
        (b'{"extra": {"authentication.kubernetes.io/pod-name": null}}', ""),
        (b'{"extra": {}}', ""),
        (b'{"extra": null, "groups": null}', ""),
        (b"{}", ""),
    ],
)
def test_the_pod_of_a_token(raw: bytes, pod: str) -> None:
    assert msgspec.json.decode(raw, type=User).pod == pod
