"""admission.k8s.io/v1 AdmissionReview: what the API server asks, as a value, and the answer as JSON. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Generic, TypeVar

import msgspec
from msgspec import Raw, Struct

from connectors.kube import nesting
from connectors.objects.metadata import GROUP
from connectors.objects.user import User
from connectors.sources.api_objects import HeldClass, HeldConnector, read_class, read_connector
from controller.admission.verdict import MAX_NAME, ReviewVerdict, bounded_name

REVIEW_VERSION = "admission.k8s.io/v1"
# Bytes of a question in which what is nested too deeply is cut: that takes 100 ms for a megabyte, in one piece on the
# event loop. An API server's own has so many bytes only of an object that is not like any Connector or class.
LONGEST_CUT = 64 * 1024
_STATUS = {"apiVersion": "v1", "kind": "Status", "metadata": {}, "status": "Failure"}

H = TypeVar("H", HeldConnector, HeldClass)


class ReviewError(Exception):
    """It is not an AdmissionReview that this webhook was registered for; the message quotes nothing of it."""


class Operation(StrEnum):
    """What is done to the object."""

    CREATE = "CREATE"
    UPDATE = "UPDATE"
    DELETE = "DELETE"


@dataclass(frozen=True, slots=True)
class ReviewHead:
    """What every review says: `uid` goes back with the answer, `user` is who sent the request."""

    uid: str
    operation: Operation
    user: User


@dataclass(frozen=True, slots=True)
class _ReviewOf(Generic[H]):
    """An object as it is to be (None: gone) and as it is (None: not there yet).

    `same_spec`: both are there, and nothing in the spec differs.
    """

    head: ReviewHead
    new: H | None
    old: H | None
    same_spec: bool

    @property
    def let_through(self) -> bool:
        """Whether rules do not count; see controller/admission/judge.py."""
        return self.same_spec or (self.new is not None and self.new.deleting)


class ConnectorReview(_ReviewOf[HeldConnector]):
    """A question about a Connector."""

    __slots__ = ()


class ClassReview(_ReviewOf[HeldClass]):
    """A question about a ConnectorClass; of its annotations, the resolver's counts as part of the spec."""

    __slots__ = ()


Review = ConnectorReview | ClassReview


class _Resource(Struct, frozen=True):
    group: str = ""
    resource: str = ""


class _Request(Struct, frozen=True, rename="camel"):
    uid: str = ""
    operation: str = ""
    resource: _Resource = _Resource()
    sub_resource: str = ""
    namespace: str = ""
    user_info: User = User()
    object: Raw = Raw(b"null")
    old_object: Raw = Raw(b"null")


class _AdmissionReview(Struct, frozen=True, rename="camel"):
    api_version: str = ""
    kind: str = ""
    request: _Request | None = None


class _WithSpec(Struct, frozen=True):
    spec: Raw = Raw(b"null")


_REVIEW = msgspec.json.Decoder(_AdmissionReview)
_SPEC = msgspec.json.Decoder(_WithSpec)


def decode_review(body: bytes) -> Review:
    """The question.

    Raises:
        ReviewError: the bytes are not a review, are of another version, or about another kind than our two; or they
            are both many and nested deeply.
    """
    try:
        return _review(_request(body))
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise ReviewError("it is not an AdmissionReview of an object that can be read") from None
    except nesting.TooDeepError:
        raise ReviewError(f"it is nested too deeply for its size; use less than {LONGEST_CUT} bytes") from None


def _request(body: bytes) -> _Request:
    review = nesting.decode(body, _REVIEW, LONGEST_CUT)
    if (review.api_version, review.kind) != (REVIEW_VERSION, "AdmissionReview") or review.request is None:
        raise ReviewError(f"it is not an AdmissionReview of {REVIEW_VERSION} with a request")
    request = review.request
    if not 0 < len(request.uid) <= MAX_NAME or request.operation not in set(Operation):
        raise ReviewError("its request has no uid or a long one, or another operation than CREATE, UPDATE and DELETE")
    if request.resource.group != GROUP or request.sub_resource:
        raise ReviewError(f"it is about another resource than those of {GROUP}")
    return request


def _review(request: _Request) -> Review:
    head = ReviewHead(request.uid, Operation(request.operation), request.user_info)
    raws = [None if bytes(raw) == b"null" else raw for raw in (request.object, request.old_object)]
    wanted = (head.operation is not Operation.DELETE, head.operation is not Operation.CREATE)
    if tuple(raw is not None for raw in raws) != wanted:
        raise ReviewError(f"its objects are not those of the operation {head.operation.value}")
    match request.resource.resource:
        case "connectors":
            new, old = (None if raw is None else _placed(read_connector(raw), request.namespace) for raw in raws)
            return ConnectorReview(head, new, old, _same_spec(new, old, *raws))
        case "connectorclasses":
            new_class, old_class = (None if raw is None else read_class(raw) for raw in raws)
            return ClassReview(head, new_class, old_class, _same_class(new_class, old_class, *raws))
        case _:
            raise ReviewError(f"it is about another resource than those of {GROUP}")


def _placed(held: HeldConnector, namespace: str) -> HeldConnector:
    """In the namespace that the API server was asked about, whatever the object itself says."""
    metadata = msgspec.structs.replace(held.item.metadata, namespace=namespace)
    return replace(held, item=msgspec.structs.replace(held.item, metadata=metadata))


def _same_class(new: HeldClass | None, old: HeldClass | None, new_raw: Raw | None, old_raw: Raw | None) -> bool:
    if new is None or old is None:
        return False
    resolver = new.item.metadata.annotations == old.item.metadata.annotations
    return resolver and _same_spec(new, old, new_raw, old_raw)


def _same_spec(new: H | None, old: H | None, new_raw: Raw | None, old_raw: Raw | None) -> bool:
    """Compare by bytes if one cannot be read: two unreadable specs look alike, and may differ in all that counts."""
    if new is None or old is None or new_raw is None or old_raw is None:
        return False
    if _spec_bytes(new_raw) == _spec_bytes(old_raw):
        return True
    return new.malformed is None and old.malformed is None and new.item.spec == old.item.spec


def _spec_bytes(raw: Raw) -> bytes:
    return bytes(nesting.decode(raw, _SPEC, LONGEST_CUT).spec)


def encode_answer(review: Review, verdict: ReviewVerdict) -> bytes:
    """The answer to a review."""
    response: dict[str, Any] = {"uid": review.head.uid, "allowed": verdict.allowed}
    if verdict.warnings:
        response["warnings"] = list(verdict.warnings)
    if verdict.denial is not None:
        response["status"] = _status(review, verdict)
    answer = {"apiVersion": REVIEW_VERSION, "kind": "AdmissionReview", "response": response}
    return msgspec.json.encode(answer)


def _status(review: Review, verdict: ReviewVerdict) -> dict[str, Any]:
    """A metav1.Status; kubectl prints its causes where the reason is Invalid, else its message."""
    denial = verdict.denial
    if denial is None:
        return {}
    name, kind = _about(review)
    causes = [{"reason": "FieldValueInvalid", "field": item.path, "message": item.message} for item in denial.causes]
    details = {"name": bounded_name(name), "group": GROUP, "kind": kind, "causes": causes}
    said = {"code": denial.code, "reason": denial.reason, "message": denial.message, "details": details}
    return {**_STATUS, **said}


def _about(review: Review) -> tuple[str, str]:
    held = review.new or review.old
    kind = "Connector" if isinstance(review, ConnectorReview) else "ConnectorClass"
    return (held.item.metadata.name if held else ""), kind
