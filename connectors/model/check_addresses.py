"""Rules of `spec.address` and `spec.addressExtensions[]`: URL syntax, and the four rules of extensions."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from typing import Any

from connectors.model.addresses import Address, AddressError, manifest_address, place_of
from connectors.model.check_parameters import check_declared, check_given, given
from connectors.model.connector import Connector
from connectors.model.connector_class import ConnectorClass
from connectors.model.secret import TLS
from connectors.model.violation import Severity, Violation

_EXTENSIONS = "spec.addressExtensions"


def check_addresses(connector: Connector, connector_class: ConnectorClass | None) -> Iterator[Violation]:
    """All rules of a Connector's addresses; without the class those that need none."""
    spec = connector.spec
    address, problem = parsed(spec.address)
    if problem:
        yield Violation("spec.address", problem)
    extensions = given(_EXTENSIONS, spec.address_extensions)
    yield from check_given(extensions)
    if connector_class is not None:
        yield from check_declared(_EXTENSIONS, extensions, connector_class.spec.address_extensions)
    found = {"spec.address": address} if address else {}
    first = {place_of(address): "spec.address"} if address else {}
    for path, item in extensions:
        extension, problem = parsed(item.value)
        if problem:
            yield Violation(f"{path}.value", problem)
        elif extension:
            # One comparison for each, and one word: a spec holds thousands of them, and pairs would be millions.
            where = first.setdefault(place_of(extension), f"{path}.value")
            yield from _check_repetition(f"{path}.value", where)
            found[f"{path}.value"] = extension
    yield from _check_clear_text(connector, connector_class, found)


def parsed(value: Any) -> tuple[Address | None, str | None]:
    """The address and what is wrong with it; neither for what is not a string at all, which other rules name."""
    if not isinstance(value, str):
        return None, None
    try:
        return manifest_address(value), None
    except AddressError as error:
        return None, str(error)


def _check_repetition(path: str, where: str) -> Iterator[Violation]:
    """Rule 4; and two extensions of one address, which the requirement allows but which cannot be meant.

    `where`: the first field with the same address as the one at `path`.
    """
    if where == "spec.address":
        yield Violation(path, "is the same address as spec.address; give another, or leave the extension out")
    elif where != path:
        yield Violation(path, f"is the same address as {where}; was another one meant?", Severity.WARNING)


def _check_clear_text(
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
