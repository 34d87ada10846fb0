"""Everything that is wrong with a set of manifests, in one list: as text, as objects, and as they fit together."""

from __future__ import annotations

from collections.abc import Iterator

from connectors.judgement import Judgement
from connectors.objects.conditions import ConditionStatus
from connectors.objects.connector import ConnectorKey
from connectors.objects.violation import Severity, Violation
from connectors.snapshot import Snapshot
from connectors.sources.loaded import Loaded
from connectors.sources.manifests import CONNECTOR, CONNECTOR_CLASS, SECRET
from connectors.sources.place import Identity, Problem
from connectors.trust import OwnAuthority
from controller.authorities import problem_of
from controller.conditions import ca_condition, left_out

CLASS_NAME = "spec.connectorClassName"
CA_REF = "spec.caCertSecretRef.name"
SECRET_REF = "spec.auth.secretRef"  # noqa: S105 - a field's path


class Findings:
    """What snapshots found broken, kept from one to the next: a change costs what it is about."""

    def __init__(self, *, secrets_elsewhere: bool = False) -> None:
        """`secrets_elsewhere`: a Secret that is not among the manifests may well exist where they are applied."""
        self._secrets_elsewhere = secrets_elsewhere
        self._generation = 0
        self._broken: dict[ConnectorKey, tuple[Violation, ...]] = {}

    def follow(self, snapshot: Snapshot) -> Iterator[None]:
        """Look at what is other than in the snapshot before, one Connector with each step."""
        following, self._generation = snapshot.generation == self._generation + 1, snapshot.generation
        if not following:
            self._broken.clear()
        for key in snapshot.changed if following else snapshot.judgements:
            self._broken.pop(key, None)
            judgement = snapshot.judgements.get(key)
            if judgement and (found := tuple(_of_judgement(judgement, secrets_elsewhere=self._secrets_elsewhere))):
                self._broken[key] = found
            yield

    def problems(self, loaded: Loaded, snapshot: Snapshot) -> tuple[Problem, ...]:
        """The source's problems, then the rules that `snapshot`, the last one, found broken; by file and line."""
        problems = list(loaded.problems)
        for name, violations in snapshot.class_violations.items():
            problems.extend(loaded.problem(Identity(CONNECTOR_CLASS, "", name), violation) for violation in violations)
        for key, found in self._broken.items():
            identity = Identity(CONNECTOR, key.namespace, key.name)
            problems.extend(loaded.problem(identity, violation) for violation in found)
        for authority in snapshot.authorities.for_all:
            if message := problem_of(authority):
                identity = Identity(SECRET, *authority.secret.key)
                problems.append(loaded.problem(identity, Violation("", message, Severity.WARNING)))
        return tuple(sorted(problems, key=lambda problem: (problem.file, problem.line)))


def findings(loaded: Loaded, snapshot: Snapshot, *, secrets_elsewhere: bool = False) -> tuple[Problem, ...]:
    """Everything that is wrong with manifests of which `snapshot` was built (see Findings)."""
    found = Findings(secrets_elsewhere=secrets_elsewhere)
    for _ in found.follow(snapshot):
        pass
    return found.problems(loaded, snapshot)


def _of_judgement(judgement: Judgement, *, secrets_elsewhere: bool) -> Iterator[Violation]:
    yield from judgement.violations
    name = judgement.connector.spec.connector_class_name
    if judgement.connector_class is None and name:
        yield Violation(CLASS_NAME, f'ConnectorClass "{name}" not found; create it, or name another one')
    problem = judgement.secret_problem
    if problem is not None and not (secrets_elsewhere and judgement.secret is None):
        yield Violation(SECRET_REF, problem.message)
    if judgement.not_injected:
        yield Violation("spec.auth.name", judgement.not_injected)
    if problem is None and judgement.secret_note:
        yield Violation(SECRET_REF, judgement.secret_note, Severity.WARNING)
    if judgement.authority is not None:
        yield from _of_authority(judgement.authority, judgement.connector.metadata.namespace, secrets_elsewhere)


def _of_authority(authority: OwnAuthority, namespace: str, secrets_elsewhere: bool) -> Iterator[Violation]:
    """Warnings: the Connector is served all the same, with the CAs that are trusted for all."""
    if authority.bundle is None and secrets_elsewhere:
        return
    condition = ca_condition(authority, namespace)
    if condition.status is ConditionStatus.FALSE:
        yield Violation(CA_REF, condition.message, Severity.WARNING)
    elif authority.bundle is not None and authority.bundle.problems:
        message = f'of secret "{authority.name}" {left_out(authority.bundle.problems)}'
        yield Violation(CA_REF, message, Severity.WARNING)
