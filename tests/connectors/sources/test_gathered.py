from __future__ import annotations

import asyncio

from connectors.objects.connector import Connector, ConnectorKey
from connectors.objects.feature_flags import FeatureFlags
from connectors.objects.secret import SecretKey, SecretValue
from connectors.snapshot import Changes, Objects
from connectors.sources.gathered import Gathered, Recipient, Recipients
from connectors.sources.store import SnapshotStore
from tests.builders import connector, connector_class, secret

A, B = connector("a"), connector("b")
SECRET = secret("s")


def of(*connectors: Connector) -> Changes:
    return Changes(connectors={one.key: one for one in connectors})


def gone(*connectors: Connector) -> Changes:
    return Changes(connectors=dict.fromkeys(one.key for one in connectors))


def test_what_came_last_counts() -> None:
    gathered = Gathered()
    later = connector("a", address="https://later.example")
    for changes in (of(A, B), gone(B), of(later), Changes(flags=FeatureFlags()), Changes(authorities=(SECRET,))):
        gathered.add(changes)
    assert gathered.changes() == Changes({A.key: later, B.key: None}, flags=FeatureFlags(), authorities=(SECRET,))
    gathered.add(Changes(own_addresses=frozenset({("10.0.0.1", 8081)})))
    gathered.add(Changes(own_addresses=frozenset()))
    assert gathered.changes().own_addresses == frozenset()
    assert len(gathered) == 2


def test_logins_come_all_together() -> None:
    first, second = {"lab": SecretValue(b"u:p")}, {"default": SecretValue(b"u:q")}
    gathered = Gathered()
    for logins in (first, None, second, None):
        gathered.add(Changes(logins=logins))
    assert gathered.changes().logins == second
    assert bool(Changes(logins={}))


def test_taken_is_taken() -> None:
    gathered = Gathered()
    gathered.add(of(A))
    assert gathered.take() == of(A)
    assert not gathered.take()


def test_all_that_there_is_holds_nothing_that_is_gone() -> None:
    everything = Gathered(all_there_is=True)
    key = SecretKey("default", "x")
    everything.add(Changes(unread={key: "not yet"}))
    everything.add(of(A, B))
    everything.add(Changes(connectors={A.key: None}, unread={key: ""}))
    assert everything.changes() == of(B)


def test_what_is_given_out_does_not_change_later() -> None:
    everything = Gathered(all_there_is=True)
    everything.add(of(A))
    before = everything.changes()
    everything.add(of(B))
    assert before == of(A)


async def test_who_does_not_take_has_one_thing_a_name_waiting() -> None:
    store = SnapshotStore()
    recipients = Recipients(store, lambda _: None)
    slow = recipients.join()
    for number in range(1000):
        await store.follow(of(connector("a", address=f"https://{number}.example")))
    generation, changes = await slow.next()
    assert generation == 1000
    assert list(changes.connectors) == [A.key]
    found = changes.connectors[A.key]
    assert found is not None
    assert found.spec.address == "https://999.example"


async def test_a_new_one_is_told_of_everything_and_then_of_changes_alone() -> None:
    store, news = SnapshotStore(), list[Changes]()
    recipients = Recipients(store, news.append)
    early = recipients.join()
    await store.follow(Objects((A, B), (connector_class(),), (SECRET,)))
    late = recipients.join()
    for recipient in (early, late):
        generation, changes = await recipient.next()
        assert (generation, set(changes.connectors), set(changes.secrets)) == (1, {A.key, B.key}, {SECRET.key})
    await store.follow(gone(B))
    assert await late.next() == (2, gone(B))
    recipients.leave(late)
    await store.follow(gone(A))
    assert await early.next() == (3, Changes({B.key: None, A.key: None}))
    waiting = asyncio.create_task(late.next())
    assert not (await asyncio.wait({waiting}, timeout=0.02))[0]
    waiting.cancel()
    assert [set(changes.connectors) for changes in news] == [{A.key, B.key}, {B.key}, {A.key}]


async def test_before_there_is_a_snapshot_nothing_is_told() -> None:
    waiting = asyncio.create_task(Recipient(Changes(), 0).next())
    assert not (await asyncio.wait({waiting}, timeout=0.02))[0]
    waiting.cancel()


async def test_what_is_handed_on_makes_the_same_snapshot() -> None:
    store, other = SnapshotStore(), SnapshotStore()
    recipient = Recipients(store, lambda _: None).join()
    await store.follow(Objects((A,), (connector_class(),), (SECRET,), FeatureFlags(enable_custom_ca_certs=True)))
    await other.follow((await recipient.next())[1])
    assert other.current.plans.keys() == {ConnectorKey("default", "a")}
    assert other.current.flags == store.current.flags
    assert other.current.authorities.enabled
