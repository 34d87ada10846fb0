"""Every rule of a ConnectorClass, those of its templates, check expressions and credential schemes included."""

from __future__ import annotations

import re
from collections.abc import Iterator

from connectors.credentials.credential import fold
from connectors.credentials.registry import SCHEMES, scheme_for
from connectors.expressions.check import CheckError, compile_check
from connectors.expressions.template import TemplateError, compile_template
from connectors.model.check_class import check_class_fields
from connectors.model.connector_class import AuthType, ConnectorClass, GeneratedField, Generator, Probe, ProbeHeader
from connectors.model.violation import Severity, Violation

_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+", re.ASCII)
"""A field name (RFC 9110 section 5.6.2)."""
_QUERY_NAME = re.compile(r"[!-~]+", re.ASCII)
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
"""Fields that frame or route a message (RFC 9110 sections 7.2 and 7.6.1, RFC 9112 section 6), so no credential's."""
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
"""Fields that hardly anybody means for a token: each request would cost a question to the API server."""
_NO_REGO = "Rego is not supported; use "


def check_connector_class(connector_class: ConnectorClass) -> tuple[Violation, ...]:
    """All violations of a ConnectorClass. With an error among them none of its Connectors is served."""
    return (
        *check_class_fields(connector_class),
        *_check_generators(connector_class),
        *_check_probes(connector_class),
        *_check_extractor(connector_class),
    )


def _check_generators(connector_class: ConnectorClass) -> Iterator[Violation]:
    for index, auth_type in enumerate(connector_class.auth_types):
        path = f"spec.auth.types[{index}]"
        generator = auth_type.generator or Generator()
        if generator.rego:
            yield Violation(f"{path}.generator.rego", _NO_REGO + "generator.headers or generator.query")
        else:
            yield from _check_scheme(path, auth_type)
        for position, header in enumerate(generator.headers):
            yield from _check_header(f"{path}.generator.headers[{position}]", header)
        for position, parameter in enumerate(generator.query):
            yield from _check_query(f"{path}.generator.query[{position}]", parameter)


def _check_scheme(path: str, auth_type: AuthType) -> Iterator[Violation]:
    """A warning only: the class's other types serve, and a Connector that chooses this one is told so."""
    if scheme_for(auth_type) is None:
        known = ", ".join(sorted(SCHEMES))
        message = f"nothing injects this Secret type; give the type a generator, or use one of: {known}"
        yield Violation(f"{path}.secretType", message, Severity.WARNING)


def _check_probes(connector_class: ConnectorClass) -> Iterator[Violation]:
    yield from _check_probe("spec.livenessProbe", connector_class.spec.liveness_probe)
    for index, auth_probe in enumerate(connector_class.spec.auth_probes):
        yield from _check_probe(f"spec.authProbes[{index}].probe", auth_probe.probe)


def _check_probe(path: str, probe: Probe | None) -> Iterator[Violation]:
    if probe is None:
        return
    if probe.api is not None and probe.api.path:
        yield from _check_template(f"{path}.api.path", probe.api.path)
    if probe.http is None:
        return
    if probe.http.path:
        yield from _check_template(f"{path}.http.path", probe.http.path)
    else:
        yield Violation(f"{path}.http.path", "is missing; give a path, for example /")
    for index, header in enumerate(probe.http.http_headers):
        yield from _check_header(f"{path}.http.httpHeaders[{index}]", header)
    if probe.http.response is not None and probe.http.response.cel:
        yield from _check_cel(f"{path}.http.response.cel", probe.http.response.cel)


def _check_cel(path: str, source: str) -> Iterator[Violation]:
    try:
        compile_check(source)
    except CheckError as error:
        yield Violation(path, str(error))


def _check_header(path: str, header: GeneratedField | ProbeHeader) -> Iterator[Violation]:
    # Folded, since the caller's field of the folded name is removed for it.
    name = fold(header.name.encode()).decode()
    if not _TOKEN.fullmatch(name):
        yield Violation(f"{path}.name", "is not a header name; use letters, digits and '-'")
    elif name in _NOT_GENERATED or name.startswith("proxy-"):
        yield Violation(f"{path}.name", f"{header.name} frames or routes the message; it cannot be set here")
    yield from _check_template(f"{path}.value", header.value)


def _check_query(path: str, parameter: GeneratedField) -> Iterator[Violation]:
    if not _QUERY_NAME.fullmatch(parameter.name):
        yield Violation(f"{path}.name", "must be a query parameter's name in visible ASCII characters")
    yield from _check_template(f"{path}.value", parameter.value)


def _check_template(path: str, source: str) -> Iterator[Violation]:
    if not source:
        yield Violation(path, "is missing; give a template, for example {{ .Secret.StringData.token }}")
        return
    try:
        compile_template(source)
    except TemplateError as error:
        yield Violation(path, str(error))


def _check_extractor(connector_class: ConnectorClass) -> Iterator[Violation]:
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
