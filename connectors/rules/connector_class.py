"""Every rule of a ConnectorClass, those of its templates, check expressions and credential schemes included."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from connectors.credentials.credential import Owned, fold
from connectors.credentials.registry import SCHEMES, owned_by, scheme_for
from connectors.expressions.check import CheckError, compile_check
from connectors.expressions.template import TemplateError, compile_template
from connectors.objects.connector_class import (
    RESOLVER_ANNOTATION,
    AuthType,
    ConnectorClass,
    GeneratedField,
    Generator,
    ParameterSpec,
    Probe,
    ProbeHeader,
    Resolver,
)
from connectors.objects.names import object_name_problem
from connectors.objects.violation import Severity, Violation, errors
from connectors.rules.compile_budget import over_budget
from connectors.rules.values import parsed, string_problem, validate_ceilings, validate_destination

_EXTENSION_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}", re.ASCII)


def validate_class_fields(connector_class: ConnectorClass) -> Iterator[Violation]:
    """What is wrong by the fields alone: names, parameters, the resolver, probes, where proxy and API are."""
    if problem := object_name_problem(connector_class.metadata.name):
        yield Violation("metadata.name", problem)
    resolver = connector_class.metadata.annotations.get(RESOLVER_ANNOTATION)
    if resolver is not None and resolver not in set(Resolver):
        yield Violation(f"metadata.annotations[{RESOLVER_ANNOTATION}]", "must be host or path; without it host applies")
    yield from validate_ceilings(connector_class.metadata.annotations)
    yield from _validate_addresses(connector_class)
    yield from _validate_specs("spec.params", connector_class.spec.params)
    yield from _validate_auth_types(connector_class)
    yield from _validate_probes(connector_class)
    for path, destination in (("spec.proxy", connector_class.spec.proxy), ("spec.api", connector_class.spec.api)):
        if destination is not None:
            yield from validate_destination(path, destination.ref, destination.uri)


def _validate_addresses(connector_class: ConnectorClass) -> Iterator[Violation]:
    spec = connector_class.spec
    if spec.address is not None:
        yield from _validate_spec("spec.address", spec.address)
    yield from _validate_specs("spec.addressExtensions", spec.address_extensions)
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


def _validate_auth_types(connector_class: ConnectorClass) -> Iterator[Violation]:
    yield from _validate_names("spec.auth.types", (auth_type.name for auth_type in connector_class.auth_types))
    for index, auth_type in enumerate(connector_class.auth_types):
        yield from _validate_specs(f"spec.auth.types[{index}].params", auth_type.params)


def _validate_probes(connector_class: ConnectorClass) -> Iterator[Violation]:
    spec = connector_class.spec
    yield from _validate_probe("spec.livenessProbe", spec.liveness_probe)
    names = (probe.auth_name for probe in spec.auth_probes)
    yield from _validate_names("spec.authProbes", names, field="authName")
    for index, auth_probe in enumerate(spec.auth_probes):
        path = f"spec.authProbes[{index}]"
        if auth_probe.auth_name and connector_class.auth_type(auth_probe.auth_name) is None:
            message = f'spec.auth.types has no "{auth_probe.auth_name}"; declare it there, or correct this name'
            yield Violation(f"{path}.authName", message)
        yield from _validate_specs(f"{path}.params", auth_probe.params)
        yield from _validate_probe(f"{path}.probe", auth_probe.probe)


def _validate_probe(path: str, probe: Probe | None) -> Iterator[Violation]:
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


def _validate_specs(path: str, specs: tuple[ParameterSpec, ...]) -> Iterator[Violation]:
    yield from _validate_names(path, (spec.name for spec in specs))
    for index, spec in enumerate(specs):
        yield from _validate_spec(f"{path}[{index}]", spec)


def _validate_spec(path: str, spec: ParameterSpec) -> Iterator[Violation]:
    if spec.type != "string":
        yield Violation(f"{path}.type", "must be string, the only type there is")
    if spec.required:
        return
    if problem := string_problem(spec.default):
        yield Violation(f"{path}.default", problem)
    elif spec.enum and spec.default and spec.default not in spec.enum:
        yield Violation(f"{path}.default", f"is not in the enum; use one of: {', '.join(spec.enum)}")


def _validate_names(path: str, names: Iterable[str], *, field: str = "name") -> Iterator[Violation]:
    seen: dict[str, int] = {}
    for index, name in enumerate(names):
        if not name:
            yield Violation(f"{path}[{index}].{field}", "is missing; name the item")
        elif name in seen:
            message = f'"{name}" stands at {path}[{seen[name]}] already; remove one of them'
            yield Violation(f"{path}[{index}].{field}", message)
        seen.setdefault(name, index)


# A field name (RFC 9110 section 5.6.2).
_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+", re.ASCII)
_QUERY_NAME = re.compile(r"[!-~]+", re.ASCII)
# Fields that frame or route a message (RFC 9110 sections 7.2 and 7.6.1, RFC 9112 section 6), so no credential's.
_NOT_GENERATED = frozenset(
    {
        "connection",
        "content-length",
        "expect",
        "host",
        "keep-alive",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "x-openapi-address",
    }
)
# Clients send these for other reasons: as a place for tokens, each request would cost a question to the API server.
_OF_EVERY_CLIENT = frozenset(
    {
        "accept",
        "accept-encoding",
        "accept-language",
        "cache-control",
        "content-encoding",
        "content-type",
        "cookie",
        "origin",
        "range",
        "referer",
        "user-agent",
    }
)
_NO_REGO = "Rego is not supported; use "


def validate_connector_class(connector_class: ConnectorClass) -> tuple[Violation, ...]:
    """All violations of a ConnectorClass. With an error among them none of its Connectors is served."""
    fields, extractor = validate_class_fields(connector_class), _validate_extractor(connector_class)
    if too_much := over_budget(connector_class):
        # First: of many violations, an answer lists a hundred.
        return (too_much, *fields, *extractor)
    return (
        *fields,
        *_validate_generators(connector_class),
        *_compiled_probes(connector_class),
        *extractor,
    )


def _validate_generators(connector_class: ConnectorClass) -> Iterator[Violation]:
    for index, auth_type in enumerate(connector_class.auth_types):
        path = f"spec.auth.types[{index}]"
        generator = auth_type.generator or Generator()
        if generator.rego:
            # A warning: the class's other types serve, and Connectors that choose this one are told so.
            message = _NO_REGO + "generator.headers or generator.query"
            yield Violation(f"{path}.generator.rego", message, Severity.WARNING)
        else:
            yield from _validate_scheme(path, auth_type)
        for position, header in enumerate(generator.headers):
            yield from _validate_header(f"{path}.generator.headers[{position}]", header)
        for position, parameter in enumerate(generator.query):
            yield from _validate_query(f"{path}.generator.query[{position}]", parameter)


def _validate_scheme(path: str, auth_type: AuthType) -> Iterator[Violation]:
    """A warning only: the class's other types serve, and a Connector that chooses this one is told so."""
    if scheme_for(auth_type) is None:
        known = ", ".join(sorted(SCHEMES))
        message = f"nothing injects this Secret type; give the type a generator, or use one of: {known}"
        yield Violation(f"{path}.secretType", message, Severity.WARNING)


def _compiled_probes(connector_class: ConnectorClass) -> Iterator[Violation]:
    yield from _compiled_probe("spec.livenessProbe", connector_class.spec.liveness_probe)
    for index, auth_probe in enumerate(connector_class.spec.auth_probes):
        yield from _compiled_probe(f"spec.authProbes[{index}].probe", auth_probe.probe)


def _compiled_probe(path: str, probe: Probe | None) -> Iterator[Violation]:
    if probe is None:
        return
    if probe.api is not None and probe.api.path:
        yield from _validate_template(f"{path}.api.path", probe.api.path)
    if probe.http is None:
        return
    if probe.http.path:
        yield from _validate_template(f"{path}.http.path", probe.http.path)
    else:
        yield Violation(f"{path}.http.path", "is missing; give a path, for example /")
    for index, header in enumerate(probe.http.http_headers):
        yield from _validate_header(f"{path}.http.httpHeaders[{index}]", header)
    if probe.http.response is not None and probe.http.response.cel:
        yield from _validate_cel(f"{path}.http.response.cel", probe.http.response.cel)


def _validate_cel(path: str, source: str) -> Iterator[Violation]:
    try:
        compile_check(source)
    except CheckError as error:
        yield Violation(path, str(error))


def _validate_header(path: str, header: GeneratedField | ProbeHeader) -> Iterator[Violation]:
    # Folded, since the caller's field of the folded name is removed for it.
    name = fold(header.name.encode()).decode()
    if not _TOKEN.fullmatch(name):
        yield Violation(f"{path}.name", "is not a header name; use letters, digits and '-'")
    elif name in _NOT_GENERATED or name.startswith("proxy-"):
        yield Violation(f"{path}.name", f"{header.name} frames or routes the message; it cannot be set here")
    yield from _validate_template(f"{path}.value", header.value)


def _validate_query(path: str, parameter: GeneratedField) -> Iterator[Violation]:
    if not _QUERY_NAME.fullmatch(parameter.name):
        yield Violation(f"{path}.name", "must be a query parameter's name in visible ASCII characters")
    yield from _validate_template(f"{path}.value", parameter.value)


def _validate_template(path: str, source: str) -> Iterator[Violation]:
    if not source:
        yield Violation(path, "is missing; give a template, for example {{ .Secret.StringData.token }}")
        return
    try:
        compile_template(source)
    except TemplateError as error:
        yield Violation(path, str(error))


def _validate_extractor(connector_class: ConnectorClass) -> Iterator[Violation]:
    proxy = connector_class.spec.proxy
    if proxy is None or proxy.auth_extractor is None:
        return
    if proxy.auth_extractor.rego:
        yield Violation("spec.proxy.authExtractor.rego", _NO_REGO + "authExtractor.header")
    header = proxy.auth_extractor.header
    if header and not _TOKEN.fullmatch(header):
        yield Violation("spec.proxy.authExtractor.header", "is not a header name; use letters, digits and '-'")
    elif fold(header.encode()).decode() in _NOT_GENERATED:
        message = f"{header} frames or routes the message and must reach the tool; name another header"
        yield Violation("spec.proxy.authExtractor.header", message)
    elif fold(header.encode()) == b"authorization":
        message = "Authorization is read anyway, as Basic or Bearer; leave authExtractor out"
        yield Violation("spec.proxy.authExtractor.header", message, Severity.WARNING)
    elif fold(header.encode()).decode() in _OF_EVERY_CLIENT:
        message = f"clients send {header} anyway, and it will not reach the tool any more; was another header meant?"
        yield Violation("spec.proxy.authExtractor.header", message, Severity.WARNING)


class JudgedClass(NamedTuple):
    """A class with what is wrong with it. `owned`: what any of its types may inject, and the field that may hold a
    caller's own token (threat 21).

    An invalid class has them too: callers' fields of these names are removed, though no template is rendered.
    """

    connector_class: ConnectorClass
    violations: tuple[Violation, ...]
    owned: Owned

    @property
    def usable(self) -> bool:
        """Whether its Connectors may be served."""
        return not errors(self.violations)


def judge_class(connector_class: ConnectorClass, malformed: Violation | None = None) -> JudgedClass:
    """Judge a class. `malformed`: why it does not have the shape of a class; then nothing else of it is judged."""
    violations = validate_connector_class(connector_class) if malformed is None else (malformed,)
    header = connector_class.caller_header
    caller = frozenset({fold(header)}) if header else frozenset()
    return JudgedClass(connector_class, violations, owned_by(connector_class.auth_types) | Owned(headers=caller))
