"""Rules of a ConnectorClass that its fields show by themselves; connectors/class_checks.py adds those of generators."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from connectors.model.check_addresses import parsed
from connectors.model.check_destination import check_destination
from connectors.model.check_parameters import string_problem
from connectors.model.connector_class import RESOLVER_ANNOTATION, ConnectorClass, ParameterSpec, Probe, Resolver
from connectors.model.names import object_name_problem
from connectors.model.violation import Violation

_EXTENSION_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}", re.ASCII)


def check_class_fields(connector_class: ConnectorClass) -> Iterator[Violation]:
    """Names, parameters, the resolver, probes, where proxy and API are."""
    if problem := object_name_problem(connector_class.metadata.name):
        yield Violation("metadata.name", problem)
    resolver = connector_class.metadata.annotations.get(RESOLVER_ANNOTATION)
    if resolver is not None and resolver not in set(Resolver):
        yield Violation(f"metadata.annotations[{RESOLVER_ANNOTATION}]", "must be host or path; without it host applies")
    yield from _check_addresses(connector_class)
    yield from _check_specs("spec.params", connector_class.spec.params)
    yield from _check_auth_types(connector_class)
    yield from _check_probes(connector_class)
    for path, destination in (("spec.proxy", connector_class.spec.proxy), ("spec.api", connector_class.spec.api)):
        if destination is not None:
            yield from check_destination(path, destination.ref, destination.uri)


def _check_addresses(connector_class: ConnectorClass) -> Iterator[Violation]:
    spec = connector_class.spec
    if spec.address is not None:
        yield from _check_spec("spec.address", spec.address)
    yield from _check_specs("spec.addressExtensions", spec.address_extensions)
    for index, extension in enumerate(spec.address_extensions):
        path = f"spec.addressExtensions[{index}]"
        if extension.name and not _EXTENSION_NAME.fullmatch(extension.name):
            message = (
                "must consist of letters, digits, '-', '_' and '.', since callers write it in paths as NAME@EXTENSION"
            )
            yield Violation(f"{path}.name", message)
        if isinstance(extension.default, str) and extension.default:
            _, problem = parsed(extension.default)
            if problem:
                yield Violation(f"{path}.default", f"{problem}; or use an empty default")


def _check_auth_types(connector_class: ConnectorClass) -> Iterator[Violation]:
    yield from _check_names("spec.auth.types", (auth_type.name for auth_type in connector_class.auth_types))
    for index, auth_type in enumerate(connector_class.auth_types):
        yield from _check_specs(f"spec.auth.types[{index}].params", auth_type.params)


def _check_probes(connector_class: ConnectorClass) -> Iterator[Violation]:
    spec = connector_class.spec
    yield from _check_probe("spec.livenessProbe", spec.liveness_probe)
    names = (probe.auth_name for probe in spec.auth_probes)
    yield from _check_names("spec.authProbes", names, field="authName")
    for index, auth_probe in enumerate(spec.auth_probes):
        path = f"spec.authProbes[{index}]"
        if auth_probe.auth_name and connector_class.auth_type(auth_probe.auth_name) is None:
            message = f'spec.auth.types has no "{auth_probe.auth_name}"; declare it there, or correct this name'
            yield Violation(f"{path}.authName", message)
        yield from _check_specs(f"{path}.params", auth_probe.params)
        yield from _check_probe(f"{path}.probe", auth_probe.probe)


def _check_probe(path: str, probe: Probe | None) -> Iterator[Violation]:
    if probe is None or probe.http is None:
        return
    if probe.api is not None:
        yield Violation(path, "has both http and api; keep one of them")
    http = probe.http
    if http.method not in ("", "GET", "POST"):
        yield Violation(f"{path}.http.method", "must be GET or POST, in capitals; without it GET applies")
    if http.scheme not in ("", "http", "https"):
        yield Violation(
            f"{path}.http.scheme", "must be http or https; without it that of the Connector's address applies"
        )
    if http.host and (problem := _host_problem(http.host)):
        yield Violation(f"{path}.http.host", problem)


def _host_problem(host: str) -> str | None:
    """Host and port, by the rules of addresses."""
    address, problem = parsed(f"http://{host}")
    if address is None:
        return f"as the host of an address it {problem}"
    if "/" in host:
        return "must be a host, with a port where it has one; move the path to http.path"
    return None


def _check_specs(path: str, specs: tuple[ParameterSpec, ...]) -> Iterator[Violation]:
    yield from _check_names(path, (spec.name for spec in specs))
    for index, spec in enumerate(specs):
        yield from _check_spec(f"{path}[{index}]", spec)


def _check_spec(path: str, spec: ParameterSpec) -> Iterator[Violation]:
    if spec.type != "string":
        yield Violation(f"{path}.type", "must be string, the only type there is")
    if spec.required:
        return
    if problem := string_problem(spec.default):
        yield Violation(f"{path}.default", problem)
    elif spec.enum and spec.default and spec.default not in spec.enum:
        yield Violation(f"{path}.default", f"is not in the enum; use one of: {', '.join(spec.enum)}")


def _check_names(path: str, names: Iterable[str], *, field: str = "name") -> Iterator[Violation]:
    seen: dict[str, int] = {}
    for index, name in enumerate(names):
        if not name:
            yield Violation(f"{path}[{index}].{field}", "is missing; name the item")
        elif name in seen:
            message = f'"{name}" stands at {path}[{seen[name]}] already; remove one of them'
            yield Violation(f"{path}[{index}].{field}", message)
        seen.setdefault(name, index)
