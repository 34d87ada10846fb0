from __future__ import annotations

import pytest

from connectors.credentials.credential import ANONYMOUS
from connectors.objects.connector_class import ConnectorClass
from connectors.objects.reasons import ConditionReason, Reason
from connectors.objects.secret import BASIC_AUTH, Secret, SecretKey
from connectors.objects.violation import Severity, Violation
from connectors.rules.connector_class import judge_class
from connectors.rules.examination import Inputs, examine, of_invalid_class, secret_key_of
from tests.builders import basic_class, connector, connector_class, secret

AUTH = {"name": "basicAuth", "secretRef": {"name": "login"}}
LOGIN = secret(kind=BASIC_AUTH, username=b"u", password=b"p")
INPUTS = Inputs(connector(auth=AUTH), judge_class(basic_class()), secret=LOGIN)


def test_a_connector_that_can_serve() -> None:
    examined = examine(INPUTS)
    assert (examined.refusal, examined.secret_problem, examined.violations) == (None, None, ())
    assert [name for name, _ in examined.credential.headers] == [b"Authorization"]
    assert str(examined.addresses[""]) == "https://tool.example.com"


def test_t40_the_secret_is_read_once_for_all() -> None:
    examined = examine(INPUTS._replace(secret=secret(kind=BASIC_AUTH, username=b"u\n", password=b"p\n")))
    assert examined.inputs.secret is not None
    assert [value.reveal() for value in examined.inputs.secret.data.values()] == [b"u", b"p"]
    assert examined.credential.headers[0][1].reveal() == b"Basic dTpw"
    assert "keys username, password of Secret login" in examined.secret_note
    assert (examine(INPUTS).inputs.secret, examine(INPUTS).secret_note) == (LOGIN, "")


ODD = {"name": "basicAuth", "secretType": "kubernetes.io/ssh-auth"}
POLICY = {"name": "basicAuth", "secretType": BASIC_AUTH, "generator": {"rego": "package proxy"}}


@pytest.mark.parametrize(("kind", "given"), [(ODD, secret(kind="kubernetes.io/ssh-auth")), (POLICY, LOGIN)])
def test_what_nothing_injects_is_not_the_secrets_fault(kind: dict[str, object], given: Secret) -> None:
    proxied, without = (
        examine(Inputs(connector(auth=AUTH), judge_class(of_type(kind, has_proxy=has_proxy)), given))
        for has_proxy in (True, False)
    )
    assert (proxied.secret_problem, without.secret_problem) == (None, None)
    assert "authentication type basicAuth" in proxied.not_injected
    assert proxied.refusal is not None
    assert proxied.refusal.reason is Reason.CREDENTIAL_UNAVAILABLE
    assert proxied.credential is ANONYMOUS
    # No request needs it.
    assert (without.not_injected, without.refusal) == ("", None)


def of_type(kind: dict[str, object], *, has_proxy: bool) -> ConnectorClass:
    return connector_class(auth={"types": [kind]}, proxy={} if has_proxy else None)


def test_what_is_malformed_is_known_by_nothing_else() -> None:
    wrong = Violation("spec.address", "must be a string")
    examined = examine(INPUTS._replace(malformed=wrong))
    assert examined.violations == (wrong,)
    assert examined.refusal is not None
    assert examined.refusal.reason is Reason.CONNECTOR_INVALID
    assert (examined.inputs.connector_class, examined.inputs.secret, examined.credential) == (None, None, ANONYMOUS)


def test_a_secret_that_is_not_known_yet_is_not_called_missing() -> None:
    pending, missing = (examine(INPUTS._replace(secret=None, unread=unread)) for unread in ("late", ""))
    assert pending.secret_problem is not None
    assert pending.secret_problem.reason is ConditionReason.SECRET_PENDING
    assert (pending.unread, missing.unread) == ("late", "")
    assert missing.secret_problem is not None
    assert missing.secret_problem.reason is ConditionReason.SECRET_NOT_FOUND


@pytest.mark.parametrize("severity", list(Severity))
def test_only_errors_of_a_class_break_its_connectors(severity: Severity) -> None:
    found = of_invalid_class(basic_class(), (Violation("spec.x", "is odd", severity),))
    assert [violation.path for violation in found] == ["spec.connectorClassName"] * (severity is Severity.ERROR)


def test_t07_the_secret_is_of_the_connectors_own_namespace() -> None:
    reference = {"name": "login", "namespace": "kube-system"}
    item = connector(auth={"name": "basicAuth", "secretRef": reference}, namespace="team")
    assert secret_key_of(item) == SecretKey("team", "login")
    assert secret_key_of(connector()).name == ""
