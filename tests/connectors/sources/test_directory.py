from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

import pytest

from connectors.sources.directory import DirectorySource
from connectors.sources.loaded import Loaded

WITHIN = 2.0
"""Seconds after which a change must be in effect."""


def manifest(name: str = "a", address: str = "https://h") -> str:
    return (
        "apiVersion: connectors.alauda.io/v1alpha1\nkind: Connector\n"
        f"metadata: {{name: {name}}}\nspec: {{connectorClassName: git, address: {address}}}\n"
    )


CLASS = """
apiVersion: connectors.alauda.io/v1alpha1
kind: ConnectorClass
metadata: {name: git, annotations: {mine: "yes"}}
spec: {proxy: {}}
"""
FLAGS = """
apiVersion: v1
kind: ConfigMap
metadata: {name: connectors-config}
data: {enable-custom-ca-certs: "true"}
"""


def source(*paths: Path) -> DirectorySource:
    return DirectorySource(paths, lambda: "now")


def addresses(loaded: Loaded) -> dict[str, str]:
    return {item.metadata.name: item.spec.address for item in loaded.objects.connectors}


def test_everything_in_the_files_and_the_builtin_classes(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(manifest("a"))
    (tmp_path / "b.yaml").write_text(manifest("b") + "---\n" + FLAGS + "---\nkind: Pod\n")
    loaded = source(tmp_path).load()
    assert list(addresses(loaded)) == ["a", "b"]
    assert loaded.problems == ()
    assert [tuple(ignored) for ignored in loaded.ignored] == [("Pod", str(tmp_path / "b.yaml"))]
    assert loaded.objects.flags.enable_custom_ca_certs
    assert {item.metadata.name for item in loaded.objects.classes} >= {"git", "github", "gitlab", "generic"}


def test_a_class_replaces_the_builtin_one_of_its_name(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(CLASS)
    loaded = source(tmp_path).load()
    (git,) = (item for item in loaded.objects.classes if item.metadata.name == "git")
    assert git.metadata.annotations == {"mine": "yes"}
    assert loaded.problems == ()
    (tmp_path / "a.yaml").unlink()


def test_of_two_objects_the_first_serves_and_the_other_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("# the first\n" + manifest("x", "https://first"))
    (tmp_path / "b.yaml").write_text(manifest("x", "https://second"))
    loaded = source(tmp_path).load()
    assert addresses(loaded) == {"x": "https://first"}
    (problem,) = loaded.problems
    assert str(problem).startswith(f"{tmp_path / 'b.yaml'}:3: Connector default/x: metadata.name: the object stands at")
    assert f"{tmp_path / 'a.yaml'}:2" in str(problem)
    assert addresses(source(tmp_path / "b.yaml", tmp_path / "a.yaml").load()) == {"x": "https://second"}


def test_only_what_changed_gets_a_new_instance(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(manifest("a") + "---\n" + manifest("b"))
    files = source(tmp_path)
    first = files.load().objects
    (tmp_path / "a.yaml").write_text("# moved\n" + manifest("a") + "---\n" + manifest("b", "https://i"))
    second = files.load().objects
    assert second.connectors[0] is first.connectors[0]
    assert second.connectors[1].metadata.uid == first.connectors[1].metadata.uid
    assert second.connectors[1].metadata.generation == 2
    assert all(now is before for now, before in zip(second.classes, first.classes, strict=True))


def test_a_file_that_is_gone_takes_its_objects_with_it(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(manifest("a"))
    (tmp_path / "b.yaml").write_text(manifest("b"))
    files = source(tmp_path)
    files.load()
    (tmp_path / "a.yaml").unlink()
    assert list(addresses(files.load())) == ["b"]


def test_a_path_that_is_gone_keeps_its_last_good_objects(tmp_path: Path) -> None:
    path = tmp_path / "manifests"
    path.mkdir()
    (path / "a.yaml").write_text(manifest("a"))
    files = source(path)
    files.load()
    path.rename(tmp_path / "elsewhere")
    loaded = files.load()
    assert list(addresses(loaded)) == ["a"]
    assert loaded.problems == loaded.unreadable
    assert "no such file or directory" in str(loaded.unreadable[0])
    (tmp_path / "elsewhere").rename(path)
    assert files.load().problems == ()


def test_a_path_that_never_was(tmp_path: Path) -> None:
    loaded = source(tmp_path / "lacking").load()
    assert [problem.file for problem in loaded.unreadable] == [str(tmp_path / "lacking")]


def test_a_file_that_cannot_be_read_is_told_and_the_rest_serves(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.yaml")
    (tmp_path / "b.yaml").write_text(manifest("b"))
    loaded = source(tmp_path).load()
    assert list(addresses(loaded)) == ["b"]
    assert [str(problem) for problem in loaded.unreadable] == [
        f"{tmp_path / 'a.yaml'}: is not a regular file; remove it, or put a file there"
    ]


def test_a_broken_file_keeps_its_last_good_objects(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text(manifest("a"))
    files = source(tmp_path)
    before = files.load()
    file.write_text(manifest("a", "https://i") + " :")
    after = files.load()
    assert after.objects.connectors[0] is before.objects.connectors[0]
    assert str(after.problems[0]).startswith(f"{file}:5: not YAML")


def test_a_change_within_one_step_of_the_file_systems_clock_is_seen(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    files = source(tmp_path)
    for number in range(100, 200):
        file.write_text(manifest("a", f"https://{number}"))
        files.load()
        file.write_text(manifest("a", f"https://{number + 100}"))
        assert addresses(files.load()) == {"a": f"https://{number + 100}"}


@asynccontextmanager
async def watching(files: DirectorySource) -> AsyncIterator[AsyncGenerator[Loaded, None]]:
    files.load()
    async with aclosing(files.watch()) as changes:
        yield changes


async def following(changes: AsyncGenerator[Loaded, None]) -> Loaded:
    return await asyncio.wait_for(anext(changes), WITHIN)


async def test_changes_are_seen_in_time(tmp_path: Path) -> None:
    async with watching(source(tmp_path)) as changes:
        (tmp_path / "a.yaml").write_text(manifest("a"))
        assert list(addresses(await following(changes))) == ["a"]
        (tmp_path / "sub").mkdir()
        (tmp_path / "sub" / "b.yaml").write_text(manifest("b"))
        assert list(addresses(await following(changes))) == ["a", "b"]
        (tmp_path / "new").write_text(manifest("a", "https://i"))
        (tmp_path / "new").replace(tmp_path / "a.yaml")
        assert addresses(await following(changes))["a"] == "https://i"
        (tmp_path / "a.yaml").unlink()
        assert list(addresses(await following(changes))) == ["b"]


async def test_a_change_of_the_same_size_right_after_another_is_seen(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text(manifest("a", "https://1"))
    async with watching(source(tmp_path)) as changes:
        file.write_text(manifest("a", "https://2"))
        assert addresses(await following(changes)) == {"a": "https://2"}


async def test_a_projected_volume_swaps_its_link(tmp_path: Path) -> None:
    for generation, address in (("..1", "https://1"), ("..2", "https://2")):
        (tmp_path / generation).mkdir()
        (tmp_path / generation / "a.yaml").write_text(manifest("a", address))
    (tmp_path / "..data").symlink_to("..1")
    (tmp_path / "a.yaml").symlink_to("..data/a.yaml")
    async with watching(source(tmp_path)) as changes:
        (tmp_path / "..tmp").symlink_to("..2")
        (tmp_path / "..tmp").replace(tmp_path / "..data")
        assert addresses(await following(changes)) == {"a": "https://2"}


async def test_a_file_that_a_link_leads_to_is_watched(tmp_path: Path) -> None:
    inside, outside = tmp_path / "inside", tmp_path / "outside.yaml"
    inside.mkdir()
    outside.write_text(manifest("a", "https://1"))
    (inside / "a.yaml").symlink_to(outside)
    async with watching(source(inside)) as changes:
        outside.write_text(manifest("a", "https://22"))
        assert addresses(await following(changes)) == {"a": "https://22"}


async def test_a_single_file_that_is_replaced_is_watched(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text(manifest("a", "https://1"))
    async with watching(source(file)) as changes:
        for address in ("https://2", "https://3"):
            (tmp_path / "new").write_text(manifest("a", address))
            (tmp_path / "new").replace(file)
            assert addresses(await following(changes)) == {"a": address}


async def test_a_half_written_file_is_not_read(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    whole = manifest("a") + "---\n" + manifest("b")
    async with watching(source(tmp_path)) as changes:
        reading = asyncio.create_task(following(changes))
        with file.open("w") as opened:
            for start in range(0, len(whole), 80):
                opened.write(whole[start : start + 80])
                opened.flush()
                await asyncio.sleep(0.02)
        loaded = await reading
    assert list(addresses(loaded)) == ["a", "b"]
    assert loaded.problems == ()


async def test_nothing_new_is_no_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("connectors.sources.files.INTERVAL", 0.2)  # seconds between two looks at everything
    file = tmp_path / "a.yaml"
    file.write_text(manifest("a"))
    async with watching(source(tmp_path)) as changes:
        file.touch()
        (tmp_path / "notes.txt").write_text("x")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(anext(changes), 0.5)


async def test_a_change_before_watching_began_is_seen(tmp_path: Path) -> None:
    files = source(tmp_path)
    files.load()
    (tmp_path / "a.yaml").write_text(manifest("a"))
    async with aclosing(files.watch()) as changes:
        assert list(addresses(await following(changes))) == ["a"]
