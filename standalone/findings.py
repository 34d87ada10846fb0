"""Everything that is wrong with a set of manifests, in one list: as text, as objects, and as they fit together."""

from __future__ import annotations

from collections.abc import Iterator

from connectors.model.violation import Violation
from connectors.snapshot import Binding, Snapshot
from connectors.sources.loaded import Loaded
from connectors.sources.manifests import CONNECTOR, CONNECTOR_CLASS
from connectors.sources.problem import Identity, Problem

CLASS_NAME = "spec.connectorClassName"
SECRET_REF = "spec.auth.secretRef"  # noqa: S105 - a field's path


def findings(loaded: Loaded, snapshot: Snapshot, *, secrets_elsewhere: bool = False) -> tuple[Problem, ...]:
    """The source's problems, then the rules that `snapshot`, built of the same objects, found broken; by file and line.

    `secrets_elsewhere`: a Secret that is not among the manifests may well exist where they are applied.
    """
    problems = list(loaded.problems)
    for name, violations in snapshot.class_violations.items():
        problems.extend(loaded.problem(Identity(CONNECTOR_CLASS, "", name), violation) for violation in violations)
    for key, binding in snapshot.bindings.items():
        identity = Identity(CONNECTOR, key.namespace, key.name)
        found = _of_binding(binding, secrets_elsewhere=secrets_elsewhere)
        problems.extend(loaded.problem(identity, violation) for violation in found)
    return tuple(sorted(problems, key=lambda problem: (problem.file, problem.line)))


def _of_binding(binding: Binding, *, secrets_elsewhere: bool) -> Iterator[Violation]:
    yield from binding.violations
    name = binding.connector.spec.connector_class_name
    if binding.connector_class is None and name:
        yield Violation(CLASS_NAME, f'ConnectorClass "{name}" not found; create it, or name another one')
    problem = binding.secret_problem
    if problem is not None and not (secrets_elsewhere and binding.secret is None):
        yield Violation(SECRET_REF, problem.message)
