from __future__ import annotations

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from connectors.objects.connector import Connector
from connectors.objects.connector_class import ConnectorClass
from connectors.objects.feature_flags import FeatureFlags
from connectors.objects.secret import Secret
from connectors.objects.violation import Violation
from connectors.sources.documents import DocumentError
from connectors.sources.manifests import Manifest, read_manifests
from connectors.sources.place import UNNAMED, Identity

CONNECTOR = """\
apiVersion: connectors.alauda.io/v1alpha1
kind: Connector
metadata: {name: a}
spec: {connectorClassName: git, address: "https://h"}
"""
CLASS = """\
apiVersion: connectors.alauda.io/v1alpha1
kind: ConnectorClass
metadata: {name: tool}
spec: {proxy: {}}
"""
SECRET = """\
apiVersion: v1
kind: Secret
metadata: {name: s, namespace: team}
stringData: {token: canary}
"""
FLAGS = """\
apiVersion: v1
kind: ConfigMap
metadata: {name: connectors-config, namespace: connectors-system}
data: {enable-custom-ca-certs: "true"}
"""


def entries(text: str) -> tuple[Manifest, ...]:
    return read_manifests(text.encode()).entries


def one(text: str) -> Manifest:
    (entry,) = entries(text)
    return entry


@pytest.mark.parametrize(
    ("text", "identity", "kind"),
    [
        (CONNECTOR, Identity("Connector", "default", "a"), Connector),
        (CLASS, Identity("ConnectorClass", "", "tool"), ConnectorClass),
        (SECRET, Identity("Secret", "team", "s"), Secret),
        (FLAGS, Identity("ConfigMap", "", "connectors-config"), FeatureFlags),
    ],
)
def test_kinds(text: str, identity: Identity, kind: type) -> None:
    entry = one(text)
    assert (entry.identity, type(entry.value), entry.violations) == (identity, kind, ())


def test_many_documents_and_lists() -> None:
    items = "".join("- " + text.replace("\n", "\n  ").rstrip(" ") for text in (CLASS, SECRET))
    found = entries(f"{CONNECTOR}---\n---\napiVersion: v1\nkind: List\nitems:\n{items}")
    assert [(entry.identity.name, entry.place.line) for entry in found] == [("a", 1), ("tool", 10), ("s", 14)]


def test_a_list_of_lists_and_of_nonsense() -> None:
    nested = "kind: List\nitems:\n- kind: List\n  items:\n  - 5\n- x"
    assert [entry.place.line for entry in entries(nested)] == [5, 6]


def test_doubts_about_a_list_fall_on_its_items() -> None:
    doubled = f"kind: List\nitems:\n- {CONNECTOR.replace(chr(10), chr(10) + '  ')}\n- kind: Secret\n  kind: Secret\n"
    first, second = entries(doubled)
    assert first.value is not None
    assert second.violations[0].path == "kind"
    everything = entries(f"kind: List\nkind: List\nitems:\n- {CONNECTOR.replace(chr(10), chr(10) + '  ')}")
    assert [entry.value for entry in everything] == [None]


@pytest.mark.parametrize(
    ("kind", "meant"),
    [
        ("Conector", "Connector"),
        ("connector", "Connector"),
        ("Connectors", "Connector"),
        ("ConectorClas", "ConnectorClass"),
    ],
)
def test_a_misspelt_kind_of_our_group_is_an_error_that_names_the_right_one(kind: str, meant: str) -> None:
    text = CONNECTOR.replace("kind: Connector", f"kind: {kind}")
    assert one(text).violations == (
        Violation("kind", f"there is no such kind in connectors.alauda.io; did you mean {meant}?"),
    )
    assert read_manifests(text.encode()).ignored == ()


@pytest.mark.parametrize("kind", ["AccessPolicy", "AccessRequest", "ConnectorList"])
def test_another_kind_of_our_group_is_left_alone(kind: str) -> None:
    found = read_manifests(CONNECTOR.replace("kind: Connector", f"kind: {kind}").encode())
    assert (found.entries, found.ignored) == ((), (kind,))


def test_a_kind_of_another_group_is_left_alone_however_it_is_spelt() -> None:
    text = "apiVersion: other.example/v1\nkind: Conector\nmetadata: {name: a}\n"
    assert read_manifests(text.encode()).ignored == ("Conector",)


def test_other_kinds_are_named_once() -> None:
    text = "kind: Pod\n---\nkind: Service\n---\nkind: Pod\n---\nkind: ConfigMap\nmetadata: {name: mine}\n"
    found = read_manifests(text.encode())
    assert (found.entries, found.ignored) == ((), ("Pod", "Service", "ConfigMap"))


@pytest.mark.parametrize(
    ("text", "path", "line"),
    [
        pytest.param(CONNECTOR.replace("v1alpha1", "v1"), "apiVersion", 1, id="version"),
        pytest.param(CONNECTOR.replace("{name: a}", "{}"), "metadata.name", 3, id="no name"),
        pytest.param(CONNECTOR.replace("name: a", "generateName: a-"), "metadata.name", 3, id="generateName"),
        pytest.param(CONNECTOR.replace("metadata: {name: a}\n", ""), "metadata", 1, id="no metadata"),
        pytest.param(CONNECTOR.replace('"https://h"', "5"), "spec.address", 4, id="wrong type"),
        pytest.param(CONNECTOR + "kind: Connector\n", "kind", 5, id="a key twice"),
        pytest.param(SECRET.replace("canary", "1"), "stringData.token", 4, id="a Secret's value"),
        pytest.param(FLAGS.replace('"true"', "true"), "data.enable-custom-ca-certs", 4, id="a flag"),
        pytest.param("a: b", "kind", 1, id="no kind"),
        pytest.param(CONNECTOR.replace("kind: Connector", "kind: Conector"), "kind", 2, id="a misspelt kind"),
        pytest.param("- a", "", 1, id="not a mapping"),
    ],
)
def test_what_cannot_be_used(text: str, path: str, line: int) -> None:
    entry = one(text)
    assert entry.value is None
    assert [(violation.path, entry.place.line_of(violation.path)) for violation in entry.violations] == [(path, line)]


@pytest.mark.parametrize(
    ("text", "path"),
    [
        (CONNECTOR.replace("address:", "adress: x, address:"), "spec.adress"),
        (CONNECTOR.replace("name: a", "name: a, nmae: b"), "metadata.nmae"),
        (SECRET + "dta: {}\n", "dta"),
        (CLASS.replace("proxy:", "prxy: {}, proxy:"), "spec.prxy"),
    ],
)
def test_unknown_fields_are_told_and_the_object_is_used(text: str, path: str) -> None:
    entry = one(text)
    assert entry.value is not None
    assert [violation.path for violation in entry.violations] == [path]


def test_what_an_api_server_adds_is_tolerated() -> None:
    server = "uid: u, selfLink: x, managedFields: [{}], ownerReferences: [], finalizers: [], creationTimestamp: null"
    entry = one(CONNECTOR.replace("name: a", f"name: a, {server}") + "status: {anything: 1}\n")
    assert entry.violations == ()
    assert entry.value is not None
    assert one(SECRET + "immutable: true\n").violations == ()


def test_content_follows_meaning_and_not_layout() -> None:
    assert one(CONNECTOR).content == one("# comment\n" + CONNECTOR.replace("{name: a}", "\n  name: a")).content
    assert one(CONNECTOR).content != one(CONNECTOR.replace("//h", "//i")).content
    assert one(SECRET).content != one(SECRET.replace("canary", "other")).content


def test_a_broken_document_still_tells_which_object_it_is() -> None:
    assert one(CONNECTOR.replace('"https://h"', "5")).identity == Identity("Connector", "default", "a")
    assert one(CONNECTOR.replace("name: a", "name: 5")).identity is UNNAMED


def test_json() -> None:
    raw = b'{"apiVersion": "v1",\n\t"kind": "Secret", "metadata": {"name": "s"}, "stringData": {"a": "\\u00e4"}}'
    (entry,) = read_manifests(raw, json=True).entries
    assert isinstance(entry.value, Secret)
    assert entry.value.data["a"].reveal() == "ä".encode()


def test_t14_no_repr_shows_a_secret() -> None:
    assert "canary" not in repr(read_manifests(SECRET.encode()))


WORDS = st.sampled_from(
    ["kind", "Connector", "Secret", "List", "items", "metadata", "name", "spec", "data", "a", 1, None, True]
)
TREES = st.recursive(
    WORDS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=4), max_leaves=12
)


@given(TREES)
def test_any_tree_is_read(tree: object) -> None:
    try:
        found = read_manifests(yaml.safe_dump(tree).encode())
    except DocumentError:
        return
    assert all(entry.value is not None or entry.violations for entry in found.entries)


def test_t31_a_list_sorts_out_once_which_item_a_violation_is_of() -> None:
    """And what is wrong with the list as a whole leaves each of them in doubt."""
    items = "".join(f"- {{kind: Secret, a: {number}, a: 2}}\n" for number in range(12))
    found = entries(f"kind: List\nitems:\n{items}{'b: 1' + chr(10)}{'b: 1' + chr(10)}")
    assert len(found) == 12
    for entry in found:
        assert {violation.path for violation in entry.violations} >= {"a", "b"}
        assert sum(violation.path == "a" for violation in entry.violations) == 1


def test_t31_an_object_names_a_limited_number_of_unknown_fields() -> None:
    (found,) = entries(CONNECTOR + "".join(f"x{number}: 1\n" for number in range(200)))
    assert len(found.violations) == 64
