"""What a template is about."""

from __future__ import annotations

from dataclasses import dataclass

from connectors.model.connector import Connector
from connectors.model.connector_class import ConnectorClass
from connectors.model.secret import Secret


@dataclass(frozen=True, slots=True)
class Subject:
    """A Connector, its class and its Secret: all that a template may read. What is None is nil in the template."""

    connector: Connector | None = None
    connector_class: ConnectorClass | None = None
    secret: Secret | None = None
