"""What may be compiled for one class: templates and CEL, charged together before the first of them is compiled."""

from __future__ import annotations

from collections.abc import Iterator

from connectors.objects.connector_class import ConnectorClass, Generator, Probe
from connectors.objects.violation import Violation

# Expressions of one class, and their characters together. The largest of the published classes has a dozen of under
# 100 each, and one expression has 4,096 at most (MAX_SOURCE). So many take 160 ms to compile, 1.4 MiB took 3.6 s.
MOST_EXPRESSIONS = 512
MOST_CHARACTERS = 64 * 1024


def over_budget(connector_class: ConnectorClass) -> Violation | None:
    """Why none of the class's expressions may be compiled; None if they may."""
    count = characters = 0
    for source in _sources(connector_class):
        if source:
            count += 1
            characters += len(source)
    if count <= MOST_EXPRESSIONS and characters <= MOST_CHARACTERS:
        return None
    message = (
        f"too much to compile: {count} expressions of {characters} characters, at most {MOST_EXPRESSIONS} of"
        f" {MOST_CHARACTERS}; make several classes of it"
    )
    return Violation("spec", message)


def _sources(connector_class: ConnectorClass) -> Iterator[str]:
    spec = connector_class.spec
    for auth_type in connector_class.auth_types:
        generator = auth_type.generator or Generator()
        for generated in (*generator.headers, *generator.query):
            yield generated.value
    for probe in (spec.liveness_probe, *(auth_probe.probe for auth_probe in spec.auth_probes)):
        yield from _of_probe(probe)


def _of_probe(probe: Probe | None) -> Iterator[str]:
    if probe is None:
        return
    if probe.api is not None:
        yield probe.api.path
    if probe.http is not None:
        yield probe.http.path
        for header in probe.http.http_headers:
            yield header.value
        if probe.http.response is not None:
            yield probe.http.response.cel
