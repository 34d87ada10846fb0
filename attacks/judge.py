"""What is promised under attack, and whether an outcome keeps it. Pure."""

from __future__ import annotations

from attacks.outcome import Outcome, State

PIECE = 50.0
"""CPU in ms of one piece of the loop's work: docs/decisions/turns.md."""
# Of fewer requests the 99th percentile is the slowest one, and during an attack one may be slow; behind it none.
HUNDRED = 100
SLOW = 250.0
"""ms: p99 of the other tenant's requests, where the machine was idle before."""
RESIDENT = 384.0
"""MiB: the limit of the proxy's pod in deploy/, so more would end it."""
SETTLE = 5.0
"""Seconds behind the attack, in which all is as before."""
MORE_RESIDENT = 48.0
"""MiB that may stay: what malloc keeps, and caches that have warmed up. All of it again and again would be a leak."""
MORE_FILES = 16
"""Connections to the other tenant's tool, and those of /metrics itself."""
MORE_CONNECTIONS = 4


def settled(before: State, now: State) -> bool:
    """Whether all is as before."""
    return (
        now.resident <= before.resident + MORE_RESIDENT
        and now.files <= before.files + MORE_FILES
        and now.connections <= before.connections + MORE_CONNECTIONS
        and now.in_flight <= before.in_flight + 1
    )


def faults(outcome: Outcome) -> list[str]:
    """Each promise that this outcome breaks, in words; none where it was skipped."""
    if outcome.skipped:
        return []
    found = list(outcome.faults)
    if not outcome.done:
        return found or ["it was not played"]
    for when, answers in (("during the attack", outcome.during), ("behind it", outcome.after)):
        if not answers.requests:
            found.append(f"the other tenant had no request {when}")
        if answers.failures:
            how = ", ".join(f"{count} x {what}" for what, count in sorted(answers.failed.items()))
            found.append(f"{answers.failures} of the other tenant's {answers.requests} requests failed {when}: {how}")
        tells = answers.requests >= HUNDRED or answers is outcome.after
        if outcome.idle and tells and answers.p99 > SLOW:
            found.append(f"p99 of the other tenant's requests {when} is {answers.p99:.0f} ms, above {SLOW:.0f}")
    if outcome.pieces.longest > PIECE:
        found.append(f"{outcome.pieces.name} took {outcome.pieces.longest:.0f} ms of CPU in one piece")
    if outcome.peak > RESIDENT:
        found.append(f"{outcome.peak:.0f} MiB were resident, above {RESIDENT:.0f}")
    if outcome.settled is None:
        found.append(f"{SETTLE:.0f} s behind it not all was as before: {outcome.before_state}, {outcome.after_state}")
    return found


def by_piece_alone(outcome: Outcome) -> bool:
    """Whether nothing is wrong but a long piece: where two processes share a core, its CPU time says too much."""
    return len(faults(outcome)) == 1 and outcome.pieces.longest > PIECE
