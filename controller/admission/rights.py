"""Threat 7, the confused deputy: a user who connects a Secret to an address must be allowed to read it. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from connectors.objects.connector import UPSTREAM_PROXY_ANNOTATION, Connector
from connectors.objects.secret import SecretKey
from connectors.objects.user import User
from connectors.objects.violation import Violation
from connectors.sources.api_objects import HeldConnector
from controller.admission.review import ConnectorReview
from controller.admission.verdict import Denial, bounded_name, denied


@dataclass(frozen=True, slots=True)
class Question:
    """May the user get this Secret? `path`: the field that refers to it."""

    path: str
    secret: SecretKey


@dataclass(frozen=True, slots=True)
class AccessAnswer:
    """`allowed` is None if that is not known; then `problem` says why."""

    question: Question
    allowed: bool | None
    problem: str = ""


def questions(review: ConnectorReview) -> tuple[Question, ...]:
    """What must be asked before the Connector is let through; nothing if the Secrets go where they went before.

    An object with a deletionTimestamp is asked about like any other: it is served until its last finalizer goes, which
    may be never.
    """
    new, old = review.new, review.old
    if new is None or new.malformed is not None:
        # What cannot be read refers to nothing, and is not served.
        return ()
    if old is not None and _connects(old) == _connects(new):
        # An object that could not be read connected nothing.
        return ()
    return tuple(_referred(new.item))


def denial_of(user: User, answers: Sequence[AccessAnswer]) -> Denial | None:
    """None if every answer is yes. A missing answer counts as no, and is told in other words."""
    if forbidden := [answer.question for answer in answers if answer.allowed is False]:
        return denied(HTTPStatus.FORBIDDEN, "Forbidden", [_may_not(user, item) for item in forbidden])
    if unknown := [answer for answer in answers if answer.allowed is None]:
        return denied(HTTPStatus.SERVICE_UNAVAILABLE, "ServiceUnavailable", [_unknown(user, item) for item in unknown])
    return None


def _connects(held: HeldConnector) -> tuple[Any, ...]:
    """Everything that decides which Secret goes to which address, and in which form."""
    spec = held.item.spec
    auth = spec.auth
    chosen = (auth.name, auth.secret_ref) if auth else ("", None)
    # A proxy sees what goes to an http tool, the Secret in it.
    way = held.item.metadata.annotations.get(UPSTREAM_PROXY_ANNOTATION)
    return (spec.address, spec.address_extensions, spec.connector_class_name, spec.ca_cert_secret_ref, way, *chosen)


def _referred(connector: Connector) -> list[Question]:
    """In the Connector's own namespace, as connectors/snapshot.py reads them, whatever secretRef.namespace says."""
    spec, namespace = connector.spec, connector.metadata.namespace
    found: list[Question] = []
    if spec.auth is not None and spec.auth.secret_ref is not None:
        found.append(Question("spec.auth.secretRef.name", SecretKey(namespace, spec.auth.secret_ref.name)))
    if spec.ca_cert_secret_ref is not None:
        found.append(Question("spec.caCertSecretRef.name", SecretKey(namespace, spec.ca_cert_secret_ref.name)))
    return found


def _may_not(user: User, question: Question) -> Violation:
    message = (
        f"{_about(user, question, 'may not get')}; whoever connects a Secret to an address must be allowed to read it"
    )
    return Violation(question.path, message)


def _unknown(user: User, answer: AccessAnswer) -> Violation:
    asked = _about(user, answer.question, "may get")
    return Violation(answer.question.path, f"nobody could say whether {asked}: {answer.problem}; try again")


def _about(user: User, question: Question, may: str) -> str:
    secret = question.secret
    name, place = bounded_name(secret.name), bounded_name(secret.namespace)
    return f'user "{bounded_name(user.username)}" {may} secrets "{name}" in namespace "{place}"'
