from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.sources.documents import MAX_DEPTH, DocumentError, read_json, read_yaml


def data(text: str) -> list[Any]:
    return [document.data for document in read_yaml(text.encode())]


@pytest.mark.parametrize(
    ("text", "documents"),
    [
        ("", []),
        ("---\n---\n# nothing\n", []),
        ("a: 1\n---\nb: 2\n...\n---\nc: 3", [{"a": 1}, {"b": 2}, {"c": 3}]),
        ("a: [x, {b: y}]", [{"a": ["x", {"b": "y"}]}]),
        ("a: yes\nb: 'yes'\nc: 1.5\nd: ~\ne: !!str 1", [{"a": True, "b": "yes", "c": 1.5, "d": None, "e": "1"}]),
        ("a: 2024-01-01\nb: 2024-01-01T00:00:00Z", [{"a": "2024-01-01", "b": "2024-01-01T00:00:00Z"}]),
        ("a: =\nb: 0b_\nc: 0x10", [{"a": "=", "b": "0b_", "c": 16}]),
        ("a: &x {b: 1}\nc: *x", [{"a": {"b": 1}, "c": {"b": 1}}]),
        ("a: &x {p: 1, q: 1}\nb:\n  <<: *x\n  q: 2", [{"a": {"p": 1, "q": 1}, "b": {"q": 2, "p": 1}}]),
        ("x: {<<: [{p: 1}, {p: 2, q: 2}]}", [{"x": {"p": 1, "q": 2}}]),
        ("\ufeffa: b", [{"a": "b"}]),
        ("a: |\n  x\n  y\n", [{"a": "x\ny\n"}]),
        ("just text", ["just text"]),
    ],
)
def test_reads(text: str, documents: list[Any]) -> None:
    assert data(text) == documents


@pytest.mark.parametrize(
    ("raw", "line", "said"),
    [
        (b"a: b\nc: d\n  e: f", 3, "mapping values"),
        (b"a: b\nc: 'open", 2, "unexpected end"),
        (b"a: b\nc: \xff", 2, "UTF-8"),
        (b"a: \x01", 1, "UTF-8"),
        (b"a: *nowhere", 1, "alias"),
        (b"&a [*a]", 1, "alias"),
        (b"? [a]\n: b", 1, "plain text"),
        (b"<<: 3", 1, "'<<'"),
        (b"\n\t- a", 2, "token"),
        (b"[" * 100_000, 1, f"more than {MAX_DEPTH} levels"),
        (b"- " * 100_000, 1, f"more than {MAX_DEPTH} levels"),
        (b"a: " + b"{a: " * 100_000, 1, f"more than {MAX_DEPTH} levels"),
    ],
)
def test_what_is_not_yaml_is_told_with_its_line(raw: bytes, line: int, said: str) -> None:
    with pytest.raises(DocumentError, match=r".+") as caught:
        read_yaml(raw)
    assert caught.value.line == line
    assert said in caught.value.message


def test_aliases_cannot_expand_without_end() -> None:
    lines = [
        "a0: &a0 [x, x, x, x, x, x, x, x]",
        *(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 8)}]" for n in range(1, 30)),
    ]
    with pytest.raises(DocumentError, match="expand"):
        data("\n".join(lines))


def test_aliases_cannot_nest_without_end() -> None:
    chain = ["a0: &a0 [x]", *(f"a{n}: &a{n} [*a{n - 1}]" for n in range(1, 5000))]
    with pytest.raises(DocumentError, match="levels"):
        data("\n".join(chain))


def test_a_file_has_a_limited_number_of_values(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("connectors.sources.documents.MAX_NODES", 3)
    with pytest.raises(DocumentError, match="split it"):
        data("[a, b, c, d]")


@pytest.mark.parametrize(
    ("text", "path", "said"),
    [
        ("a: 1\nb:\n  c: 1\n  c: 2", "b.c", "stands twice"),
        ("a: {b.c: 1, b.c: 2}", "a[b.c]", "stands twice"),
        ("x:\n  1: y", "x.1", "quotes"),
        ("on: y", "on", "quotes"),
        ("x: !thing y", "x", "tag"),
        ("x: !thing {}", "x", "tag"),
        ("x: !!python/object:os.system y", "x", "tag"),
    ],
)
def test_what_yaml_allows_and_a_manifest_does_not(text: str, path: str, said: str) -> None:
    (document,) = read_yaml(text.encode())
    (violation,) = document.violations
    assert violation.path == path
    assert said in violation.message


@pytest.mark.parametrize(
    "text", ["p: *canary", "p: 'canary", 'p: "canary', "p: !canary x", "canary: {a: b", "p: canary: x"]
)
def test_t14_no_message_quotes_the_file(text: str) -> None:
    try:
        said = str(read_yaml(text.encode())[0].violations)
    except DocumentError as error:
        said = error.message
    assert "canary" not in said


def test_every_field_has_its_line() -> None:
    (_, document) = read_yaml(b"x: y\n---\na: &m\n  b:\n    - c\n    - d: e\nf: *m\ng:\n  <<: *m\n  h: i\n")
    paths = ("", "a", "a.b", "a.b[0]", "a.b[1].d", "f", "f.b[0]", "g", "g.b", "g.h", "g.lacking")
    lines = [3, 3, 4, 5, 6, 7, 5, 8, 9, 10, 8]
    assert [document.place.line_of(path) for path in paths] == lines


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**9), 10**9) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(JSON, st.sampled_from([None, 2, "\t"]))
def test_json_is_read_as_json(value: Any, indent: int | str | None) -> None:
    raw = json.dumps(value, indent=indent).encode()
    expected = [] if value is None else [value]
    assert [document.data for document in read_json(raw)] == expected


def test_json_may_escape_surrogate_pairs() -> None:
    assert read_json(rb'{"a": "\ud83d\ude00 \\ud83d\\ude00"}')[0].data == {"a": "😀 \\ud83d\\ude00"}


@given(st.binary(max_size=80) | st.text(alphabet="ab:-[]{}&*!|>'\"\n ?%@#<=,", max_size=60).map(str.encode))
def test_any_bytes_are_documents_or_refused(raw: bytes) -> None:
    try:
        lines = [document.place.line for document in read_yaml(raw)]
    except DocumentError as error:
        lines = [error.line]
    assert all(line >= 1 for line in lines)


def test_t14_repr_shows_no_data() -> None:
    (document,) = read_yaml(b"kind: Secret\nstringData: {password: canary}")
    assert "canary" not in repr(document)


LONG_NUMBERS = ["9" * 100, "0x" + "f" * 100, "1." + "5" * 100]


@pytest.mark.parametrize("text", ["1:30", "190:20:30", "-1:30", "190:20:30.15", *LONG_NUMBERS])
def test_t31_what_no_api_server_reads_as_a_number_is_text(text: str) -> None:
    """Numbers to base 60 have never been any for kubectl, and those of many digits cost the square of their length."""
    (document,) = read_yaml(f"a: {text}\n{text}: b".encode())
    assert document.data == {"a": text, text: "b"}
    assert document.violations == ()


@pytest.mark.parametrize("text", ["!!int 1:30", "!!float 1:30.5", "!!int ''", "!!int", "!!float ''", "!!bool ''"])
def test_what_is_tagged_as_what_it_is_not_is_text(text: str) -> None:
    (document,) = read_yaml(f"a: {text}".encode())
    assert isinstance(document.data["a"], str)


def test_t31_a_file_names_a_limited_number_of_things_that_are_wrong() -> None:
    with pytest.raises(DocumentError, match="more than 1000 keys"):
        read_yaml(b"a: 1\n" * 1002)


def test_t31_a_path_has_no_key_of_megabytes() -> None:
    (document,) = read_yaml(b"? " + b"k" * 5000 + b"\n: {a: 1, a: 2}")
    (violation,) = document.violations
    assert violation.path == "k" * 256 + ".a"


def test_t31_a_merged_mapping_counts_as_if_it_were_written_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("connectors.sources.documents.MAX_NODES", 20)
    with pytest.raises(DocumentError, match="more than 20 values"):
        read_yaml(b"a: &a {b: 1, c: 2, d: 3}\ne:\n" + b"- {<<: *a}\n" * 5)
