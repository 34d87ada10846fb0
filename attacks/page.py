"""attacks/recorded.json -> the generated part of docs/security-tests.md; the rest of the page is written by hand.

`python -m attacks.page` makes it again from the JSON.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from attacks.attack import Attack
from attacks.judge import faults
from attacks.outcome import Outcome, Record, read
from attacks.registry import ATTACKS
from standalone.demo import CHECKOUT

RECORDED, PAGE = "attacks/recorded.json", "docs/security-tests.md"
BEGIN = "<!-- From here: made by `make attack-record` out of attacks/recorded.json; change attacks/page.py instead. -->"
END = "<!-- To here. -->"
HEADING = (
    "attack", "threat", "what it does", "when it was found", "other tenant's requests, and failures", "p99 ms",
    "longest piece ms", "longest round ms", "MiB before, most", "as before after s",
)  # fmt: skip


def render(checkout: Path) -> None:
    """Write the generated part of the page again.

    Raises:
        ValueError: the page has no place for it.
    """
    path = checkout / PAGE
    path.write_text(between(path.read_text(encoding="utf-8"), generated(read(checkout / RECORDED))), encoding="utf-8")


def between(page: str, text: str) -> str:
    """The page with this text in its generated part.

    Raises:
        ValueError: there is no such part.
    """
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the page lacks the line {END if begin else BEGIN!r}")
    return f"{before}{BEGIN}\n\n{text}\n{END}{after}"


def generated(record: Record) -> str:
    """The tables, in Markdown."""
    machine = record.machine
    where = (
        f"Played at commit {record.commit}, {record.when}, on {machine.cpus} cores ({machine.system}, Python "
        f"{machine.python}) that attacker, proxy, tools and the other tenant share; load average at the end: "
        f"{machine.load:g}. {record.connections:,} connections."
    )
    parts = [where]
    for workers in sorted({one.workers for one in record.outcomes}):
        parts.append(f"### {'One process' if workers == 1 else f'{workers} workers'}")
        parts.append(_table(record, workers))
        parts += _notes(record, workers)
    return "\n\n".join(parts) + "\n"


def _table(record: Record, workers: int) -> str:
    rows = [_row(attack, record.of(attack.name, workers)) for attack in ATTACKS if not (attack.single and workers > 1)]
    line = "| {} |".format
    rule = "|---|--:|---|---|" + "--:|" * (len(HEADING) - 4)
    return "\n".join([line(" | ".join(HEADING)), rule, *(line(" | ".join(row)) for row in rows)])


def _row(attack: Attack, outcome: Outcome | None) -> list[str]:
    begin = [attack.name, str(attack.threat), attack.what, attack.found]
    if outcome is None or outcome.skipped:
        return [*begin, "not played", *[""] * (len(HEADING) - 5)]
    during, pieces = outcome.during, outcome.pieces
    settled = "not within 5" if outcome.settled is None else f"{outcome.settled:g}"
    return [
        *begin,
        f"{during.requests:,}, {during.failures}",
        f"{during.p99:.0f}{'' if outcome.idle else ' *'}",
        f"{pieces.longest:.0f}",
        f"{pieces.round:.0f}",
        f"{outcome.before_state.resident:.0f}, {outcome.peak:.0f}",
        settled,
    ]


def _notes(record: Record, workers: int) -> Iterator[str]:
    outcomes: Sequence[Outcome] = [one for one in record.outcomes if one.workers == workers]
    if any(not one.idle and not one.skipped for one in outcomes):
        yield "\\* Other programs used the machine just before, so that this p99 was not held to its limit."
    if broken := [f"- {one.name}: {fault}" for one in outcomes for fault in faults(one)]:
        yield "Promises that were broken:"
        yield "\n".join(broken)
    if skipped := [f"- {one.name}: {one.skipped}" for one in outcomes if one.skipped]:
        yield "Not played:"
        yield "\n".join(skipped)


if __name__ == "__main__":
    render(CHECKOUT)
