"""The decision about a review, of what is known of the class and of other Connectors. Pure.

Objects that come with a deletionTimestamp, and updates that leave the spec as it is, are let through: nothing may stand
in the way of removing a finalizer, or of a label on an object that became invalid for its class's sake.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from connectors.objects.connector import Connector
from connectors.objects.connector_class import ConnectorClass
from connectors.objects.violation import Severity, Violation, errors
from connectors.rules.connector import validate_connector
from connectors.rules.connector_class import validate_connector_class
from connectors.rules.examination import of_invalid_class
from connectors.sources.api_objects import HeldClass
from controller.admission.review import ClassReview, ConnectorReview, Operation
from controller.admission.verdict import ReviewVerdict, judged, naming, tolerated

_CLASS_NAME = "spec.connectorClassName"


@dataclass(frozen=True, slots=True)
class Known:
    """A class, and what is wrong with it."""

    connector_class: ConnectorClass
    violations: tuple[Violation, ...] = ()

    @property
    def usable(self) -> bool:
        """Whether Connectors can be judged by it."""
        return not errors(self.violations)


@dataclass(frozen=True, slots=True)
class Sibling:
    """A Connector of the class under review, and whether it breaks a rule as the class is now."""

    connector: Connector
    broken: bool


def known(held: HeldClass) -> Known:
    """A class as the API server has it."""
    violations = (held.malformed,) if held.malformed else validate_connector_class(held.item)
    return Known(held.item, violations)


def judge_connector(review: ConnectorReview, of_class: Known | None) -> ReviewVerdict:
    """Every rule of the one validator. `of_class` is the class that the new object names, or None.

    A class that is missing or broken is a warning: its author may be another one, it may come later, and the Connector
    has a condition for it until then. Rules that need the class are not judged meanwhile.
    """
    if review.new is None:
        return ReviewVerdict()
    violations = (review.new.malformed,) if review.new.malformed else _rules(review.new.item, of_class)
    if review.let_through:
        return tolerated(violations)
    return judged(violations)


def _rules(connector: Connector, of_class: Known | None) -> tuple[Violation, ...]:
    if of_class is not None and of_class.usable:
        return validate_connector(connector, of_class.connector_class)
    violations = validate_connector(connector, None)
    if any(item.path == _CLASS_NAME for item in errors(violations)):
        return violations
    return (*_of_class(connector, of_class), *violations)


def _of_class(connector: Connector, of_class: Known | None) -> Iterable[Violation]:
    if of_class is None:
        name = connector.spec.connector_class_name
        message = f'connectorclass "{name}" not found; until it is created this Connector is not served'
        return (Violation(_CLASS_NAME, message, Severity.WARNING),)
    broken = of_invalid_class(of_class.connector_class, of_class.violations)
    return (replace(item, severity=Severity.WARNING) for item in broken)


def judge_class(review: ClassReview, siblings: Sequence[Sibling], found: Known | None = None) -> ReviewVerdict:
    """Every rule of a class. What a change of it means for its Connectors (`siblings`) is a warning.

    `found`: the new class, if it is known already what is wrong with it.

    The warning names Connectors of all namespaces. Who may write a class may make each of them fail, so is trusted with
    all of them; a role that writes classes is a cluster's administrator's (docs/decisions/admission.md).
    """
    name = _class_name(review)
    if review.new is None:
        left = [item.connector for item in siblings]
        return ReviewVerdict(warnings=_warning(f"not served any more without class {name}", left))
    found = found or known(review.new)
    if review.let_through:
        return tolerated(found.violations)
    verdict = judged(found.violations)
    if not verdict.allowed or review.head.operation is not Operation.UPDATE:
        return verdict
    harmed = [item.connector for item in siblings if not item.broken and _breaks(item.connector, found)]
    harm = _warning(f"broken by this change of class {name}, and not served any more", harmed)
    return replace(verdict, warnings=(*verdict.warnings, *harm))


def _breaks(connector: Connector, of_class: Known) -> bool:
    return bool(errors(validate_connector(connector, of_class.connector_class)))


def _warning(what: str, connectors: Sequence[Connector]) -> tuple[str, ...]:
    names = sorted(str(item.key) for item in connectors)
    return naming(f"Connectors {what} ({len(names)})", names) if names else ()


def _class_name(review: ClassReview) -> str:
    held = review.new or review.old
    return held.item.metadata.name if held else ""
