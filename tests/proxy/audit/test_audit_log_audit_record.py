from __future__ import annotations

from connectors.objects.user import User, service_account_user
from proxy.audit.audit_log import AuditCaller, audit_caller


def test_nobody() -> None:
    assert audit_caller(None) is None


def test_a_service_account() -> None:
    expected = AuditCaller("system:serviceaccount:team:builder", "", (), "")
    assert audit_caller(service_account_user("team", "builder")) == expected


def test_all_that_is_known_of_a_user() -> None:
    user = User("jane", "u-1", ("a", "b"), {"authentication.kubernetes.io/pod-name": ("build-7",), "scopes": ("c",)})
    assert audit_caller(user) == AuditCaller("jane", "u-1", ("a", "b"), "build-7")
    assert audit_caller(User("jane", groups=None, extra=None)) == AuditCaller("jane", "", (), "")
