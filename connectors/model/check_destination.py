"""Rules of spec.proxy and spec.api of a class: where they lead (a Knative Destination, of which Services are taken)."""

from __future__ import annotations

from collections.abc import Iterator

from connectors.model.addresses import AddressError, parse_address
from connectors.model.connector_class import ServiceReference
from connectors.model.names import namespace_problem, object_name_problem
from connectors.model.violation import Violation


def check_destination(path: str, ref: ServiceReference | None, uri: str) -> Iterator[Violation]:
    """What is wrong with the ref and uri below `path`. Neither of them is fine: it means the default."""
    if ref is not None:
        yield from _check_ref(f"{path}.ref", ref)
        if is_absolute(uri):
            yield Violation(f"{path}.uri", "is absolute beside a ref; remove the ref, or make it a path")
            return
    try:
        parse_address(uri if is_absolute(uri) else f"http://service{uri}")
    except AddressError as error:
        yield Violation(f"{path}.uri", f"{error}; or use a path that begins with '/'")


def is_absolute(uri: str) -> bool:
    """Whether it stands for itself. What does not begin with a slash is meant to, and judged as such."""
    return bool(uri) and not uri.startswith("/")


def _check_ref(path: str, ref: ServiceReference) -> Iterator[Violation]:
    # Another group's Service (serving.knative.dev has one) is not the core one.
    if ref.kind not in {"", "Service"} or ref.api_version not in {"", "v1"} or ref.group:
        yield Violation(f"{path}.kind", "must be Service of apiVersion v1; nothing else can be referred to")
    if problem := object_name_problem(ref.name):
        yield Violation(f"{path}.name", problem)
    if ref.namespace and (problem := namespace_problem(ref.namespace)):
        yield Violation(f"{path}.namespace", problem)
