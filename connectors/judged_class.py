"""One ConnectorClass, looked at once: what all of its Connectors have of it. Pure."""

from __future__ import annotations

from typing import NamedTuple

from connectors.class_checks import check_connector_class
from connectors.credentials.credential import Owned, fold
from connectors.credentials.registry import owned_by
from connectors.model.connector_class import ConnectorClass
from connectors.model.violation import Violation, errors


class JudgedClass(NamedTuple):
    """A class with what is wrong with it. `owned`: what any of its types may inject, and the field that may hold a
    caller's own token (threat 21).

    Of an invalid class too: the names are removed even though no template of it is ever rendered.
    """

    connector_class: ConnectorClass
    violations: tuple[Violation, ...]
    owned: Owned

    @property
    def usable(self) -> bool:
        """Whether its Connectors may be served."""
        return not errors(self.violations)


def judge_class(connector_class: ConnectorClass, malformed: Violation | None = None) -> JudgedClass:
    """Look at it. `malformed`: why it has not the shape of a class; then that is all that is wrong with it."""
    violations = check_connector_class(connector_class) if malformed is None else (malformed,)
    header = connector_class.caller_header
    caller = frozenset({fold(header)}) if header else frozenset()
    return JudgedClass(connector_class, violations, owned_by(connector_class.auth_types) | Owned(headers=caller))
