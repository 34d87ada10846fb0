from __future__ import annotations

from pathlib import Path

import pytest

from connectors.sources.manifest_file import ManifestFile, fetch, reread
from connectors.sources.manifests import MAX_FILE

SIGNATURE = b"signature"


def text(*names: str, address: str = "https://h") -> str:
    return "---\n".join(
        "apiVersion: connectors.alauda.io/v1alpha1\nkind: Connector\n"
        f"metadata: {{name: {name}}}\nspec: {{connectorClassName: git, address: {address}}}\n"
        for name in names
    )


def read(path: Path, before: ManifestFile | None = None) -> ManifestFile:
    found = reread(before or ManifestFile(str(path)), SIGNATURE, fetch(str(path)))
    assert found is not None
    return found


def serving(file: ManifestFile) -> list[str]:
    return [identity.name for identity in file.objects]


def test_what_is_in_it(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(text("a", "b") + "---\nkind: Pod\n")
    found = read(path)
    assert (serving(found), found.problems, found.ignored) == (["a", "b"], (), ("Pod",))
    assert found.signature == SIGNATURE


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("a: b: c", "a.yaml:1: not YAML"),
        (text("a", "b") + "---\n[", "a.yaml:11: not YAML"),
        ("x" * (MAX_FILE + 1), "a.yaml: is larger than 8 MiB"),
        ("kind: Connector\n", "a.yaml:1: Connector default/: apiVersion"),
        (text("a", "b").replace("name: b", "name: 5"), "metadata.name: must be a string"),
    ],
    ids=["not YAML", "broken at its end", "too large", "no name", "which one is not told"],
)
def test_last_good_objects_stay(tmp_path: Path, content: str, said: str) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(text("a", "b"))
    before = read(path)
    path.write_text(content)
    after = read(path, before)
    assert said in str(after.problems[0])
    assert sorted(serving(after)) == ["a", "b"]


def test_a_document_that_cannot_be_used_keeps_its_last_good_object_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(text("a", "b", "c"))
    before = read(path)
    path.write_text(text("a") + "---\n" + text("b", address="5"))
    after = read(path, before)
    assert serving(after) == ["a", "b"]
    assert [identity.name for identity in after.objects if after.objects[identity] is before.objects[identity]] == ["b"]
    assert str(after.problems[0]).startswith(f"{path}:9: Connector default/b: spec.address: must be a string")


def test_a_file_that_was_never_good_serves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(text("a", address="5"))
    assert serving(read(path)) == []


def test_of_two_in_one_file_the_first_serves(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(text("a") + "---\n" + text("a", address="https://second"))
    found = read(path)
    (manifest,) = found.objects.values()
    assert "second" not in str(manifest.value)
    (problem,) = found.problems
    assert str(problem).startswith(f"{path}:8: Connector default/a: metadata.name: the object stands at {path}:1 too")


def test_a_file_that_is_gone(tmp_path: Path) -> None:
    name = str(tmp_path / "a.yaml")
    assert reread(ManifestFile(name), SIGNATURE, fetch(name)) is None


def test_a_file_that_cannot_be_read_is_tried_again(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(text("a"))
    before = read(path)
    path.unlink()
    path.mkdir()
    after = read(path, before)
    assert serving(after) == ["a"]
    assert (after.signature, after.unreadable) == (None, True)


def test_json_by_its_name(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text('{"kind": "Pod", "x": "\\ud83d\\ude00"}')
    assert read(path).ignored == ("Pod",)
