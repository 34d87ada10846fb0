"""Every rule of a Connector. One validator serves the proxy, the controller, admission and `connectors validate`."""

from __future__ import annotations

from collections.abc import Iterator

from connectors.objects.connector import Connector, ConnectorAuth, SecretReference
from connectors.objects.connector_class import ConnectorClass, ParameterSpec
from connectors.objects.names import (
    EXEMPT_NAMESPACE,
    connector_name_problem,
    namespace_problem,
    object_name_problem,
)
from connectors.objects.violation import Severity, Violation
from connectors.rules.values import (
    Given,
    given,
    known,
    validate_addresses,
    validate_ceilings,
    validate_declared,
    validate_given,
)


def validate_auth(connector: Connector, connector_class: ConnectorClass | None) -> Iterator[Violation]:
    """The chosen authentication type and its Secret; without the class, only the rules that need no class."""
    auth = connector.spec.auth or ConnectorAuth()
    if auth.secret_ref is not None:
        yield from _validate_secret_ref(auth.secret_ref, connector.metadata.namespace)
        if not auth.name:
            yield Violation("spec.auth.name", "is missing; name the authentication type that the Secret is for")
    if connector_class is None:
        return
    if auth.name and connector_class.auth_type(auth.name) is None:
        listed = known(auth_type.name for auth_type in connector_class.auth_types)
        yield Violation("spec.auth.name", f'the class has no authentication type "{auth.name}"; {listed}')
    elif auth.secret_ref is None and _secret_required(auth, connector_class):
        yield Violation("spec.auth.secretRef", "a Secret is required; name one in spec.auth.secretRef.name")


def validate_parameters(connector: Connector, connector_class: ConnectorClass | None) -> Iterator[Violation]:
    """`spec.params` and `spec.auth.params`.

    Published examples put a parameter of the authentication probe under `spec.params`. If the class declares it for the
    probe alone, it counts as if it stood in `spec.auth.params`, with a warning.
    """
    auth = connector.spec.auth or ConnectorAuth()
    own, of_probe = given("spec.params", connector.spec.params), given("spec.auth.params", auth.params)
    yield from validate_given(own)
    yield from validate_given(of_probe)
    if connector_class is None:
        return
    probe = connector_class.auth_probe(auth.name) if auth.name else None
    probe_params = probe.params if probe else ()
    misplaced = _misplaced(own, connector_class.spec.params, probe_params)
    for path, item in misplaced:
        message = f'"{item.name}" belongs to the authentication check; move it to spec.auth.params'
        yield Violation(f"{path}.name", message, Severity.WARNING)
    yield from validate_declared(
        "spec.params", [item for item in own if item not in misplaced], connector_class.spec.params
    )
    names = {item.name for _, item in of_probe}
    moved = [(path, item) for path, item in misplaced if item.name not in names]
    yield from validate_declared("spec.auth.params", of_probe + moved, probe_params)


def _misplaced(own: list[Given], params: tuple[ParameterSpec, ...], probe: tuple[ParameterSpec, ...]) -> list[Given]:
    names = {spec.name for spec in probe} - {spec.name for spec in params}
    return [(path, item) for path, item in own if item.name in names]


def _validate_secret_ref(reference: SecretReference, namespace: str) -> Iterator[Violation]:
    if problem := object_name_problem(reference.name):
        yield Violation("spec.auth.secretRef.name", problem if reference.name else "is missing; name the Secret")
    if reference.namespace not in ("", namespace):
        message = f'must be the Connector\'s own namespace "{namespace}"; put the Secret there and leave this out'
        yield Violation("spec.auth.secretRef.namespace", message)
    if reference.kind not in ("", "Secret"):
        yield Violation("spec.auth.secretRef.kind", "must be Secret; leave it out")


def _secret_required(auth: ConnectorAuth, connector_class: ConnectorClass) -> bool:
    chosen = connector_class.auth_type(auth.name)
    candidates = (chosen,) if chosen else connector_class.auth_types
    return bool(candidates) and not any(candidate.optional for candidate in candidates)


def validate_connector(connector: Connector, connector_class: ConnectorClass | None) -> tuple[Violation, ...]:
    """All violations of a Connector, in the order of its fields.

    `connector_class` is the class it names, taken to be valid (connectors/rules/connector_class.py judges it); None
    if there is no such class: then only the rules that need none are judged.
    """
    return (
        *_validate_names(connector),
        *validate_ceilings(connector.metadata.annotations),
        *validate_addresses(connector, connector_class),
        *validate_parameters(connector, connector_class),
        *validate_auth(connector, connector_class),
        *_validate_ca(connector),
    )


def _validate_names(connector: Connector) -> Iterator[Violation]:
    if problem := connector_name_problem(connector.metadata.name):
        yield Violation("metadata.name", problem)
    if problem := namespace_problem(connector.metadata.namespace):
        yield Violation("metadata.namespace", problem)
    elif connector.metadata.namespace == EXEMPT_NAMESPACE:
        message = f"must not be {EXEMPT_NAMESPACE}, which admission does not watch; put the Connector into another one"
        yield Violation("metadata.namespace", message)
    class_name = connector.spec.connector_class_name
    if not class_name:
        yield Violation("spec.connectorClassName", "is missing; name the ConnectorClass of the tool, for example git")
    elif problem := object_name_problem(class_name):
        yield Violation("spec.connectorClassName", problem)


def _validate_ca(connector: Connector) -> Iterator[Violation]:
    reference = connector.spec.ca_cert_secret_ref
    if reference is None:
        return
    if not reference.name:
        yield Violation("spec.caCertSecretRef.name", "is missing; name the Secret that holds the CA certificates")
    elif problem := object_name_problem(reference.name):
        yield Violation("spec.caCertSecretRef.name", problem)
