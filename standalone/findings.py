"""Everything that is wrong with a set of manifests, in one list: as text, as objects, and as they fit together."""

from __future__ import annotations

from collections.abc import Iterator

from connectors.model.violation import Violation
from connectors.snapshot import Binding, Snapshot
from connectors.sources.directory import Loaded
from connectors.sources.manifests import CONNECTOR, CONNECTOR_CLASS
from connectors.sources.problem import Identity, Problem

SECRET_REF = "spec.auth.secretRef"  # noqa: S105 - a field's path
CLASS_NAME = "spec.connectorClassName"


def findings(loaded: Loaded, snapshot: Snapshot) -> tuple[Problem, ...]:
    """The source's problems and the rules that `snapshot`, built of the same objects, found broken; by file and line."""
    problems = [*loaded.problems, *_of_classes(loaded, snapshot), *_of_connectors(loaded, snapshot)]
    return tuple(sorted(problems, key=lambda problem: (problem.file, problem.line)))


def missing_secret(binding: Binding) -> bool:
    """Whether the Connector's Secret is not there: wrong for serving, right where Secrets are kept elsewhere."""
    return binding.secret is None and binding.secret_problem is not None
