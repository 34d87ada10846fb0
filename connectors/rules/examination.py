"""One look at one Connector. Plans (for traffic) and Judgements (for status) are both made of it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from connectors.credentials.credential import (
    ANONYMOUS,
    CALLERS_OWN,
    Credential,
    CredentialError,
    InjectionError,
    Owned,
)
from connectors.credentials.docker_config import with_login
from connectors.credentials.reading import as_read, trimmed
from connectors.credentials.registry import credential_of
from connectors.dial.upstream_proxy import DIRECT, Egress, UnknownProxyError, UpstreamProxies
from connectors.expressions.template import Subject
from connectors.objects.addresses import Address, declared_addresses
from connectors.objects.connector import UPSTREAM_PROXY_ANNOTATION, Connector
from connectors.objects.connector_class import ConnectorClass
from connectors.objects.reasons import ConditionReason, Reason, Refusal
from connectors.objects.secret import Secret, SecretKey
from connectors.objects.violation import Violation, errors
from connectors.rules.connector import validate_connector
from connectors.rules.connector_class import JudgedClass
from connectors.tls.pool import SYSTEM_TRUST, Trust
from connectors.trust import OwnAuthority


class Inputs(NamedTuple):
    """All that a Connector's Plan and Judgement are made of.

    `malformed`: why it has not the shape of a Connector; `unread`: why it is not known yet whether its Secret exists.
    `trust`: whose certificates are believed; `authority`: what spec.caCertSecretRef leads to, None if custom CAs
    are off. `proxies`: those on the way to tools; None: which there are is not known here, and not judged.
    """

    connector: Connector
    judged: JudgedClass | None = None
    secret: Secret | None = None
    malformed: Violation | None = None
    unread: str = ""
    trust: Trust = SYSTEM_TRUST
    authority: OwnAuthority | None = None
    proxies: UpstreamProxies | None = None

    @property
    def connector_class(self) -> ConnectorClass | None:
        """The class that it names, if there is one."""
        return self.judged.connector_class if self.judged else None


class Examined(NamedTuple):
    """`refusal` is what every request gets instead of the tool's answer; `secret_problem` why the Secret cannot serve.

    `not_injected`: why nothing can inject a Secret that is as it should be. `secret_note` is what a person should know
    of a Secret that serves. `addresses` is keyed by extension name; "" is spec.address. `unread`: why it is not known
    whether the Secret exists. `egress`: how its requests leave.
    """

    inputs: Inputs
    violations: tuple[Violation, ...] = ()
    refusal: Refusal | None = None
    addresses: Mapping[str, Address] = MappingProxyType({})
    credential: Credential = ANONYMOUS
    owned: Owned = CALLERS_OWN
    secret_problem: CredentialError | None = None
    unread: str = ""
    secret_note: str = ""
    not_injected: str = ""
    egress: Egress = DIRECT


def examine(inputs: Inputs) -> Examined:
    """Judge one Connector against its class and its Secret. Total: whatever is wrong becomes a refusal."""
    connector, judged = inputs.connector, inputs.judged
    if inputs.malformed is not None:
        alone = inputs._replace(judged=None, secret=None, authority=None)
        return Examined(alone, (inputs.malformed,), _invalid(connector, inputs.malformed))
    if judged is None:
        violations = validate_connector(connector, None)
        return Examined(inputs, violations, _class_not_found(connector, violations))
    connector_class, owned = judged.connector_class, judged.owned
    of_class = of_invalid_class(connector_class, judged.violations)
    egress, misnamed = _egress(inputs, connector_class)
    violations = of_class + validate_connector(connector, connector_class) + misnamed
    if fatal := errors(violations):
        return Examined(inputs, violations, _invalid(connector, fatal[0]), owned=owned)
    addresses = declared_addresses(connector, connector_class)
    note = ""
    if inputs.secret is not None:
        # Once for all: what traffic sends, what probes send and what is judged is made of the same values (threat 40).
        secret, ends = as_read(inputs.secret)
        inputs, note = inputs._replace(secret=with_login(secret, connector)), trimmed(secret, ends)
    credential, problem, not_injected = _credential(inputs, connector_class)
    refusal: Refusal | None = None
    if why := problem.message if problem else not_injected:
        refusal = Refusal(Reason.CREDENTIAL_UNAVAILABLE, f"Connector {connector.key}: {why}")
    unread = inputs.unread if problem and problem.reason is ConditionReason.SECRET_PENDING else ""
    return Examined(
        inputs, violations, refusal, addresses, credential, owned, problem, unread, note, not_injected, egress
    )


def _egress(inputs: Inputs, connector_class: ConnectorClass) -> tuple[Egress, tuple[Violation, ...]]:
    """How requests leave. A name that no proxy has is an error: another way out could be one that is not allowed."""
    if inputs.proxies is None:
        return DIRECT, ()
    own = inputs.connector.metadata.annotations.get(UPSTREAM_PROXY_ANNOTATION)
    choice = connector_class.metadata.annotations.get(UPSTREAM_PROXY_ANNOTATION) if own is None else own
    try:
        return inputs.proxies.chosen(choice), ()
    except UnknownProxyError as error:
        where = f"metadata.annotations[{UPSTREAM_PROXY_ANNOTATION}]"
        if own is not None:
            return DIRECT, (Violation(where, str(error)),)
        message = f"{where} of ConnectorClass {connector_class.metadata.name} {error}"
        return DIRECT, (Violation("spec.connectorClassName", message),)


def _invalid(connector: Connector, violation: Violation) -> Refusal:
    return Refusal(Reason.CONNECTOR_INVALID, f"Connector {connector.key} is invalid: {violation}")


def _class_not_found(connector: Connector, violations: tuple[Violation, ...]) -> Refusal:
    if misnamed := next((found for found in violations if found.path == "spec.connectorClassName"), None):
        return _invalid(connector, misnamed)  # the name itself may be of any length
    name = connector.spec.connector_class_name
    message = f'connectorclass "{name}" not found; create it, or correct spec.connectorClassName'
    return Refusal(Reason.CONNECTOR_INVALID, message)


def of_invalid_class(connector_class: ConnectorClass, violations: tuple[Violation, ...]) -> tuple[Violation, ...]:
    """What a broken class means for its Connector: templates of such a class cannot be trusted to compile."""
    fatal = errors(violations)
    if not fatal:
        return ()
    message = f"ConnectorClass {connector_class.metadata.name} is invalid, correct it first: {fatal[0]}"
    return (Violation("spec.connectorClassName", message),)


class _Made(NamedTuple):
    credential: Credential = ANONYMOUS
    problem: CredentialError | None = None
    not_injected: str = ""


def _credential(inputs: Inputs, connector_class: ConnectorClass) -> _Made:
    connector, secret = inputs.connector, inputs.secret
    auth = connector.spec.auth
    if auth is None or auth.secret_ref is None:
        return _Made()
    auth_type = connector_class.auth_type(auth.name)
    if secret is None and inputs.unread:
        # Whether it exists is not known: it does not serve, but no status may say that it is missing.
        return _Made(problem=CredentialError(ConditionReason.SECRET_PENDING, inputs.unread))
    if secret is None or auth_type is None:
        message = f'secrets "{auth.secret_ref.name}" not found; create it in namespace {connector.metadata.namespace}'
        return _Made(problem=CredentialError(ConditionReason.SECRET_NOT_FOUND, message))
    try:
        return _Made(credential_of(auth_type, secret, Subject(connector, connector_class, secret)))
    except CredentialError as error:
        return _Made(problem=error)
    except InjectionError as error:
        # A class without a proxy has no requests to inject it into.
        return _Made(not_injected=str(error) if connector_class.spec.proxy is not None else "")
    except Exception as error:  # noqa: BLE001 - one Secret that no code of ours expected must not stop all others
        message = f"Secret {auth.secret_ref.name} cannot be read as a credential ({type(error).__name__})"
        return _Made(problem=CredentialError(ConditionReason.SECRET_KEY_INVALID, message))


def secret_key_of(connector: Connector) -> SecretKey:
    """Always in the Connector's own namespace, whatever secretRef.namespace says (threat 7); a rule refuses another."""
    auth = connector.spec.auth
    name = auth.secret_ref.name if auth and auth.secret_ref else ""
    return SecretKey(connector.metadata.namespace, name)
