from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from controller.admission.renewal import (
    NOTHING_PUBLISHED,
    Action,
    Authority,
    Held,
    Leaf,
    Plan,
    Published,
    Times,
    canonical,
    names_of_next,
    plan,
    serves,
)

T0 = datetime(2026, 1, 1, tzinfo=UTC)
DAY, HOUR = timedelta(days=1), timedelta(hours=1)
NAMES = frozenset({"svc", "svc.ns"})
TIMES = Times(leaf_life=90 * DAY, authority_life=3650 * DAY, overlap=HOUR)


def ca(name: str, begins: datetime = T0, life: timedelta = 3650 * DAY) -> Authority:
    return Authority(name, begins, begins + life)


def leaf(issuer: str = "new", begins: datetime = T0, life: timedelta = 90 * DAY, names: frozenset[str] = NAMES) -> Leaf:
    return Leaf(issuer, names, begins, begins + life)


ONE = (ca("new"),)
TWO = (ca("new"), ca("old", T0 - 2500 * DAY))
SEEN = Published({"new": T0, "old": T0})

TABLE = [
    pytest.param(Held(), NOTHING_PUBLISHED, T0, Action.START_ANEW, id="an empty Secret"),
    pytest.param(Held(ONE, False, None), SEEN, T0, Action.START_ANEW, id="no key that fits, nothing to serve"),
    pytest.param(Held(ONE, False, leaf()), SEEN, T0, Action.ADD_AUTHORITY, id="no key that fits, but it serves"),
    pytest.param(Held(ONE, True, None), SEEN, T0, Action.ISSUE, id="a certificate that was taken away"),
    pytest.param(Held(ONE, True, leaf("")), SEEN, T0, Action.ISSUE, id="a certificate of somebody else"),
    pytest.param(Held(ONE, True, leaf(names=frozenset({"svc"}))), SEEN, T0, Action.ISSUE, id="a name is lacking"),
    pytest.param(Held(ONE, True, leaf(names=NAMES | {"x"})), SEEN, T0, Action.WAIT, id="a name more than needed"),
    pytest.param(Held(ONE, True, leaf()), SEEN, T0 + 59 * DAY, Action.WAIT, id="in the first two thirds"),
    pytest.param(Held(ONE, True, leaf()), SEEN, T0 + 60 * DAY, Action.ISSUE, id="two thirds are over"),
    pytest.param(Held(ONE, True, leaf()), NOTHING_PUBLISHED, T0 + 60 * DAY, Action.ISSUE, id="admission is off"),
    pytest.param(Held(ONE, True, leaf()), SEEN, T0 + 90 * DAY, Action.ISSUE, id="the certificate ended"),
    pytest.param(Held(ONE, True, leaf(begins=T0 + DAY)), SEEN, T0, Action.WAIT, id="made by a clock that is ahead"),
    pytest.param(Held(ONE, True, leaf(begins=T0 + 1.1 * DAY)), SEEN, T0, Action.ISSUE, id="not valid yet"),
    pytest.param(
        Held((ca("new", T0 + 1.1 * DAY),), True, leaf()), SEEN, T0, Action.START_ANEW, id="an authority of the future"
    ),
    pytest.param(
        Held((ca("new", T0 + 1.1 * DAY), ca("old")), True, leaf("old")), SEEN, T0, Action.ADD_AUTHORITY,
        id="an authority of the future, and one that serves",
    ),
    pytest.param(Held(ONE, True, leaf()), SEEN, T0 + 3650 * DAY, Action.START_ANEW, id="everything ended"),
    pytest.param(
        Held(ONE, True, leaf(begins=T0 + 2400 * DAY)), SEEN, T0 + 2434 * DAY, Action.ADD_AUTHORITY, id="authority due"
    ),
    pytest.param(Held(TWO, True, leaf("old")), NOTHING_PUBLISHED, T0 + HOUR, Action.WAIT, id="not published yet"),
    pytest.param(
        Held(TWO, True, leaf("old")), Published({"old": T0}), T0 + 10 * DAY, Action.WAIT, id="only the old is published"
    ),
    pytest.param(
        Held(TWO, True, leaf("old")), Published({"new": T0 + HOUR}), T0 + 1.9 * HOUR, Action.WAIT, id="just published"
    ),
    pytest.param(
        Held(TWO, True, leaf("old")), Published({"new": T0 + HOUR}), T0 + 2 * HOUR, Action.ISSUE, id="published long"
    ),
    pytest.param(
        Held(TWO, True, leaf("old", T0 - 90 * DAY)), NOTHING_PUBLISHED, T0, Action.ISSUE, id="no time left for care"
    ),
    pytest.param(
        Held(TWO, True, leaf("old", T0 - 61 * DAY)), NOTHING_PUBLISHED, T0, Action.WAIT, id="due, but still good"
    ),
    pytest.param(Held(TWO, True, leaf(begins=T0 + DAY)), SEEN, T0 + DAY, Action.WAIT, id="the new one has just begun"),
    pytest.param(
        Held(TWO, True, leaf(begins=T0 + DAY)), SEEN, T0 + DAY + HOUR, Action.DROP_OLD, id="nobody serves the old"
    ),
    pytest.param(
        Held((ca("new"), ca("old", T0 - 3650 * DAY)), True, leaf("old")), SEEN, T0, Action.ISSUE,
        id="the old one ended under its certificate",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("held", "published", "now", "expected"), TABLE)
def test_the_next_step(held: Held, published: Published, now: datetime, expected: Action) -> None:
    found = plan(held, published, NAMES, TIMES, now)
    assert found.action is expected
    if expected is Action.WAIT:
        assert found.until is not None
        assert found.until > now
    else:
        assert found.why


UNTIL = [
    (Held(ONE, True, leaf()), SEEN, T0, T0 + 60 * DAY),
    (Held(TWO, True, leaf("old")), Published({"new": T0}), T0, T0 + HOUR),
    (Held(TWO, True, leaf("old")), NOTHING_PUBLISHED, T0, T0 + 90 * DAY),
    (Held(TWO, True, leaf(begins=T0)), SEEN, T0, T0 + HOUR),
]


@pytest.mark.parametrize(("held", "published", "now", "until"), UNTIL)
def test_when_to_look_again(held: Held, published: Published, now: datetime, until: datetime) -> None:
    assert plan(held, published, NAMES, TIMES, now) == Plan(Action.WAIT, until=until)


def test_a_new_authority_in_steps_never_asks_for_trust_that_is_not_there_yet() -> None:
    """Followed through time: what is served was always published for an overlap, or issued by what was."""
    held, published, now = Held((ca("old", T0 - 2434 * DAY),), True, leaf("old", T0 - DAY)), SEEN, T0
    taken: list[tuple[timedelta, Action]] = []
    while now < T0 + 5 * HOUR:
        step = plan(held, published, NAMES, TIMES, now)
        match step.action:
            case Action.ADD_AUTHORITY:
                held = Held((ca("new", now), *held.authorities), True, held.leaf)
                published = Published({**published.since, "new": now + HOUR / 4})
            case Action.ISSUE:
                assert held.leaf is not None
                held = Held(held.authorities, True, leaf("new", now))
            case Action.DROP_OLD:
                held = Held(held.authorities[:1], True, held.leaf)
            case _:
                now += HOUR / 4
                continue
        taken.append((now - T0, step.action))
    assert taken == [
        (0 * HOUR, Action.ADD_AUTHORITY),
        (1.25 * HOUR, Action.ISSUE),
        (2.25 * HOUR, Action.DROP_OLD),
    ]


def test_names_of_another_configuration_are_kept_until_the_next_renewal() -> None:
    other = Held(ONE, True, leaf(names=frozenset({"svc", "elsewhere"})))
    assert names_of_next(other, NAMES, T0) == NAMES | {"elsewhere"}
    assert names_of_next(other, NAMES, T0 + 60 * DAY) == NAMES
    assert names_of_next(Held(), NAMES, T0) == NAMES


def test_what_is_good_enough_to_serve_whatever_comes_next() -> None:
    assert serves(Held(ONE, True, leaf()), T0)
    assert serves(Held(ONE, False, leaf()), T0 + 80 * DAY), "due, and with nobody who could sign"
    assert serves(Held(ONE, True, leaf(names=frozenset())), T0), "for some names it is good"
    for found, now in ((leaf(), T0 + 90 * DAY), (leaf(begins=T0 + 2 * DAY), T0), (leaf("else"), T0), (None, T0)):
        assert not serves(Held(ONE, True, found), now)


def test_addresses_of_any_form_are_the_same_names() -> None:
    assert canonical({"2001:DB8:0::1", "2001:db8::1", "192.0.2.1", "a.b"}) == {"2001:db8::1", "192.0.2.1", "a.b"}
