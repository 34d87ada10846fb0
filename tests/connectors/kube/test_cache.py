from __future__ import annotations

import pytest
from msgspec import Raw, json

from connectors.kube.cache import Cache

Object = dict[str, str]


def raw(**content: str) -> Raw:
    return Raw(json.encode(content))


def decode(raw: Raw) -> tuple[str, Object]:
    content = json.decode(raw, type=Object)
    return content["name"], content


class Told:
    def __init__(self) -> None:
        self.keys: list[str] = []

    def __call__(self, key: str) -> None:
        self.keys.append(key)

    def take(self) -> list[str]:
        keys, self.keys = self.keys, []
        return keys


def listed(cache: Cache[str, Object], *objects: Raw) -> None:
    cache.start_list()
    for entry in objects:
        cache.listed(entry)
    cache.end_list()


def test_a_list_replaces_all_at_once_and_tells_what_differs() -> None:
    told = Told()
    cache = Cache(decode, told)
    view = cache.items
    assert not cache.synced
    listed(cache, raw(name="same", at="1"), raw(name="other", at="1"), raw(name="gone", at="1"))
    assert cache.synced
    assert sorted(told.take()) == ["gone", "other", "same"]
    cache.start_list()
    cache.listed(raw(name="same", at="1"))
    cache.listed(raw(name="other", at="2"))
    cache.listed(raw(name="new", at="2"))
    assert sorted(view) == ["gone", "other", "same"]
    assert told.take() == []
    cache.end_list()
    assert sorted(view) == ["new", "other", "same"]
    assert sorted(told.take()) == ["gone", "new", "other"]


def test_a_list_that_broke_off_leaves_nothing() -> None:
    cache = Cache(decode, Told())
    cache.start_list()
    cache.listed(raw(name="half"))
    listed(cache, raw(name="whole"))
    assert list(cache.items) == ["whole"]


def test_events_tell_once_for_each_change() -> None:
    told = Told()
    cache = Cache(decode, told)
    cache.changed(raw(name="a", uid="1"))
    cache.changed(raw(name="a", uid="1"))
    assert told.take() == ["a"]
    cache.changed(raw(name="a", uid="2"))
    assert told.take() == ["a"], "deleted and made anew under its name"
    cache.deleted(raw(name="a", uid="2"))
    cache.deleted(raw(name="a", uid="2"))
    assert told.take() == ["a"]
    assert dict(cache.items) == {}


def test_keep_may_prefer_what_is_held() -> None:
    told = Told()

    def newer(old: Object, new: Object) -> Object:
        return max(old, new, key=lambda entry: entry["at"])

    cache = Cache(decode, told, newer)
    cache.changed(raw(name="a", at="2"))
    cache.changed(raw(name="a", at="1"))
    assert told.take() == ["a"]
    listed(cache, raw(name="a", at="1"))
    assert cache.items["a"]["at"] == "2"
    assert told.take() == []
    listed(cache, raw(name="a", at="3"))
    assert cache.items["a"]["at"] == "3"


def test_a_listener_that_raises_does_not_silence_the_others() -> None:
    told: list[str] = []

    def tell(key: str) -> None:
        told.append(key)
        if key == "bad":
            raise ValueError("broken listener")

    cache = Cache(decode, tell)
    with pytest.raises(ValueError, match="broken listener"):
        listed(cache, raw(name="a"), raw(name="bad"), raw(name="z"))
    assert told == ["a", "bad", "z"]
    assert cache.synced
