"""Every rule of a Connector. One validator serves the proxy, the controller, admission and `connectors validate`."""

from __future__ import annotations

from collections.abc import Iterator

from connectors.model.check_addresses import check_addresses
from connectors.model.check_auth import check_auth, check_parameters
from connectors.model.connector import Connector
from connectors.model.connector_class import ConnectorClass
from connectors.model.names import (
    EXEMPT_NAMESPACE,
    connector_name_problem,
    namespace_problem,
    object_name_problem,
)
from connectors.model.violation import Violation


def check_connector(connector: Connector, connector_class: ConnectorClass | None) -> tuple[Violation, ...]:
    """All violations of a Connector, in the order of its fields.

    `connector_class` is the class it names, taken to be valid (connectors/class_checks.py judges it); None where there
    is no such class: then only the rules that need none are judged.
    """
    return (
        *_check_names(connector),
        *check_addresses(connector, connector_class),
        *check_parameters(connector, connector_class),
        *check_auth(connector, connector_class),
        *_check_ca(connector),
    )


def _check_names(connector: Connector) -> Iterator[Violation]:
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


def _check_ca(connector: Connector) -> Iterator[Violation]:
    reference = connector.spec.ca_cert_secret_ref
    if reference is None:
        return
    if not reference.name:
        yield Violation("spec.caCertSecretRef.name", "is missing; name the Secret that holds the CA certificates")
    elif problem := object_name_problem(reference.name):
        yield Violation("spec.caCertSecretRef.name", problem)
