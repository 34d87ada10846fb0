"""Rules of single values: `params[]`, addresses and their extensions, and where a class's proxy and API lead."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from connectors.objects.addresses import Address, AddressError, manifest_address, parse_address, place_of
from connectors.objects.ceilings import CEILING_ANNOTATIONS, ceiling_problem
from connectors.objects.connector import Connector, NamedValue
from connectors.objects.connector_class import ConnectorClass, ParameterSpec, ServiceReference
from connectors.objects.names import namespace_problem, object_name_problem
from connectors.objects.secret import TLS
from connectors.objects.violation import Severity, Violation

# An item of a list and its field path, as `("spec.params[0]", item)`.
Given = tuple[str, NamedValue]


def given(path: str, items: Sequence[NamedValue]) -> list[Given]:
    """The items of the list at `path`, each with its own path."""
    return [(f"{path}[{index}]", item) for index, item in enumerate(items)]


def validate_given(items: Iterable[Given]) -> Iterator[Violation]:
    """What needs no class: every item has a name of its own and a string as value."""
    seen: dict[str, str] = {}
    for path, item in items:
        if not item.name:
            yield Violation(f"{path}.name", "is missing; name the item")
        elif item.name in seen:
            yield Violation(f"{path}.name", f'"{item.name}" stands at {seen[item.name]} already; remove one of them')
        seen.setdefault(item.name, path)
        if problem := string_problem(item.value):
            yield Violation(f"{path}.value", problem)


def validate_declared(path: str, items: Sequence[Given], declared: Sequence[ParameterSpec]) -> Iterator[Violation]:
    """Items against what the class declares: no other names, none missing, values within `enum`.

    `path` is that of the list: there a missing item is reported.
    """
    specs = {spec.name: spec for spec in declared}
    for where, item in items:
        if not item.name:
            continue
        spec = specs.get(item.name)
        if spec is None:
            yield Violation(f"{where}.name", f'the class does not declare "{item.name}"; {known(specs)}')
        elif spec.enum and isinstance(item.value, str) and item.value not in spec.enum:
            yield Violation(f"{where}.value", f"is not allowed; use one of: {', '.join(spec.enum)}")
    names = {item.name for _, item in items}
    for spec in declared:
        if spec.required and spec.name not in names:
            yield Violation(path, f'lacks "{spec.name}", for which the class has no default; add it')


def string_problem(value: Any) -> str | None:
    """Why `value` is not an acceptable string; None if it is."""
    match value:
        case str():
            return None
        case None:
            return "is missing; give it a string"
        case bool() | int() | float():
            return "must be a string; put it in quotes"
        case _:
            return "must be a string, not a list or a mapping"


def known(names: Iterable[str]) -> str:
    """The end of a sentence that refuses a name."""
    listed = ", ".join(names)
    return f"it declares: {listed}" if listed else "it declares none, so remove it"


def validate_ceilings(annotations: Mapping[str, str]) -> Iterator[Violation]:
    """The annotations of a Connector or a class that lower what it may use."""
    for name in CEILING_ANNOTATIONS:
        if name in annotations and (problem := ceiling_problem(annotations[name])):
            yield Violation(f"metadata.annotations[{name}]", problem)


_EXTENSIONS = "spec.addressExtensions"


def validate_addresses(connector: Connector, connector_class: ConnectorClass | None) -> Iterator[Violation]:
    """All rules of `spec.address` and `spec.addressExtensions[]`; without the class those that do not need it."""
    spec = connector.spec
    address, problem = parsed(spec.address)
    if problem:
        yield Violation("spec.address", problem)
    extensions = given(_EXTENSIONS, spec.address_extensions)
    yield from validate_given(extensions)
    if connector_class is not None:
        yield from validate_declared(_EXTENSIONS, extensions, connector_class.spec.address_extensions)
    found = {"spec.address": address} if address else {}
    first = {place_of(address): "spec.address"} if address else {}
    for path, item in extensions:
        extension, problem = parsed(item.value)
        if problem:
            yield Violation(f"{path}.value", problem)
        elif extension:
            # One comparison for each, and one word: a spec holds thousands of them, and pairs would be millions.
            where = first.setdefault(place_of(extension), f"{path}.value")
            yield from _validate_repetition(f"{path}.value", where)
            found[f"{path}.value"] = extension
    yield from _validate_clear_text(connector, connector_class, found)


def parsed(value: Any) -> tuple[Address | None, str | None]:
    """The address and what is wrong with it; neither if it is not a string: another rule says so."""
    if not isinstance(value, str):
        return None, None
    try:
        return manifest_address(value), None
    except AddressError as error:
        return None, str(error)


def _validate_repetition(path: str, where: str) -> Iterator[Violation]:
    """No extension repeats spec.address. Two of one address are allowed, but an author cannot mean them.

    `where`: the first field with the same address as the one at `path`.
    """
    if where == "spec.address":
        yield Violation(path, "is the same address as spec.address; give another, or leave the extension out")
    elif where != path:
        yield Violation(path, f"is the same address as {where}; was another one meant?", Severity.WARNING)


def _validate_clear_text(
    connector: Connector, connector_class: ConnectorClass | None, found: dict[str, Address]
) -> Iterator[Violation]:
    auth = connector.spec.auth
    if auth is None or auth.secret_ref is None:
        return
    auth_type = connector_class.auth_type(auth.name) if connector_class else None
    for path, address in found.items():
        if address.scheme == "http" and auth_type is not None and auth_type.secret_type == TLS:
            message = f"must be https: authentication type {auth_type.name} shows a client certificate"
            yield Violation(path, message)
        elif address.scheme == "http" and not is_loopback(address.server_name):
            message = "the credential travels to the tool in clear text; use https if the tool offers it"
            yield Violation(path, message, Severity.WARNING)


def is_loopback(host: str) -> bool:
    """Whether `host` is this machine's own (RFC 6761 section 6.3 for names)."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def validate_destination(path: str, ref: ServiceReference | None, uri: str) -> Iterator[Violation]:
    """What is wrong with the ref and uri below `path`: where the proxy or the API of a class leads.

    They are a Knative Destination, with a Service as its only ref. Neither of them is fine: it means the default.
    """
    if ref is not None:
        yield from _validate_ref(f"{path}.ref", ref)
        if is_absolute(uri):
            yield Violation(f"{path}.uri", "is absolute beside a ref; remove the ref, or make it a path")
            return
    try:
        parse_address(uri if is_absolute(uri) else f"http://service{uri}")
    except AddressError as error:
        yield Violation(f"{path}.uri", f"{error}; or use a path that begins with '/'")


def is_absolute(uri: str) -> bool:
    """Whether it is an absolute URL. Whatever does not begin with a slash is meant as one, and judged as one."""
    return bool(uri) and not uri.startswith("/")


def _validate_ref(path: str, ref: ServiceReference) -> Iterator[Violation]:
    # Another group's Service (serving.knative.dev has one) is not the core one.
    if ref.kind not in {"", "Service"} or ref.api_version not in {"", "v1"} or ref.group:
        yield Violation(f"{path}.kind", "must be Service of apiVersion v1; nothing else can be referred to")
    if problem := object_name_problem(ref.name):
        yield Violation(f"{path}.name", problem)
    if ref.namespace and (problem := namespace_problem(ref.namespace)):
        yield Violation(f"{path}.namespace", problem)
