from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from connectors.objects.connector import ConnectorKey
from connectors.objects.feature_flags import FeatureFlags
from connectors.objects.secret import SecretKey
from connectors.snapshot import Objects
from connectors.sources.manifest_file import ManifestFile
from connectors.sources.manifests import Manifest, read_manifests
from connectors.sources.merged import SYSTEM_NAMESPACE, Merged
from connectors.sources.place import Identity
from connectors.trust import LABEL

A, KEY = Identity("Connector", "default", "a"), ConnectorKey("default", "a")
GIT = Identity("ConnectorClass", "", "git")
GROUP = "connectors.alauda.io/v1alpha1"


def connector_text(name: str = "a", address: str = "https://h") -> str:
    return f"{{apiVersion: {GROUP}, kind: Connector, metadata: {{name: {name}}}, spec: {{address: '{address}'}}}}"


def secret_text(name: str = "s", value: str = "v", namespace: str = "default", label: str = "") -> str:
    labels = f", labels: {{{LABEL}: '{label}'}}" if label else ""
    metadata = f"{{name: {name}, namespace: {namespace}{labels}}}"
    return f"{{apiVersion: v1, kind: Secret, metadata: {metadata}, stringData: {{a: {value}}}}}"


def class_text(annotation: str = "") -> str:
    return f"{{apiVersion: {GROUP}, kind: ConnectorClass, metadata: {{name: git, annotations: {{a: '{annotation}'}}}}}}"


FLAGS = "{apiVersion: v1, kind: ConfigMap, metadata: {name: connectors-config}, data: {enable-custom-ca-certs: 'true'}}"


def read(text: str) -> dict[Identity, Manifest]:
    return {entry.identity: entry for entry in read_manifests(text.encode()).entries}


def a_file(name: str, *texts: str) -> ManifestFile:
    return ManifestFile(name, objects=read("\n---\n".join(texts)))


def merged(builtin: str = "") -> Merged:
    return Merged(read(builtin) if builtin else {}, lambda: "now")


def address(files: Merged) -> str | None:
    found = files.objects().connectors
    return found[0].spec.address if found else None


def test_each_kind_is_told_of_once() -> None:
    files = merged()
    ca = secret_text("ca", namespace=SYSTEM_NAMESPACE, label="true")
    files.put(a_file("a", connector_text(), secret_text(), ca, class_text(), FLAGS))
    changes, objects = files.changes(), files.objects()
    assert changes.connectors == {KEY: objects.connectors[0]}
    assert changes.classes == {"git": objects.classes[0]}
    assert set(changes.secrets) == {SecretKey("default", "s"), SecretKey(SYSTEM_NAMESPACE, "ca")}
    assert changes.authorities == objects.authorities == (changes.secrets[SecretKey(SYSTEM_NAMESPACE, "ca")],)
    assert changes.flags == objects.flags == FeatureFlags(enable_custom_ca_certs=True)
    assert not files.changes()
    files.put(a_file("a", "# moved\n" + connector_text(), secret_text(), ca, class_text(), FLAGS))
    assert not files.changes(), "it means the same"
    files.put(a_file("a", connector_text(), secret_text("s", "new"), secret_text("ca", namespace=SYSTEM_NAMESPACE)))
    changes = files.changes()
    assert (changes.connectors, changes.classes, changes.flags) == ({}, {"git": None}, FeatureFlags())
    assert len(changes.secrets) == 2
    assert changes.authorities == ()
    files.drop("a")
    assert files.changes().connectors == {KEY: None}
    assert files.objects() == Objects()


def test_the_first_file_serves_and_then_the_next() -> None:
    files = merged()
    for name in ("a", "b"):
        files.put(a_file(name, "# a comment\n" + connector_text(address=f"https://{name}")))
    assert address(files) == "https://a"
    (problem,) = files.problems()
    assert (problem.file, "a:2" in str(problem)) == ("b", True)
    files.reorder(["b", "a"])
    assert address(files) == "https://b"
    assert [problem.file for problem in files.problems()] == ["a"]
    found = files.place(A)
    assert found is not None
    assert (found[0], found[1].line) == ("b", 2)
    files.drop("b")
    assert address(files) == "https://a"
    assert list(files.problems()) == []


def test_what_is_built_in_serves_where_no_file_has_it() -> None:
    files = merged(class_text("builtin"))
    assert files.place(GIT) is None
    files.put(a_file("a", class_text("own")))
    (own,) = files.objects().classes
    assert own.metadata.annotations == {"a": "own"}
    files.drop("a")
    (builtin,) = files.objects().classes
    assert builtin.metadata.annotations == {"a": "builtin"}
    assert builtin.metadata.generation == 3, "to who follows, one class changed twice"


TEXTS = [
    connector_text(),
    connector_text(address="https://i"),
    connector_text("b"),
    secret_text(),
    secret_text("s", "w"),
    secret_text("ca", namespace=SYSTEM_NAMESPACE, label="true"),
    class_text("own"),
    FLAGS,
]
FILES = st.dictionaries(st.sampled_from("abc"), st.lists(st.sampled_from(TEXTS), max_size=3, unique=True), max_size=3)


def plain(objects: Objects) -> object:
    """What can be compared of objects that two ledgers have numbered."""
    return (
        {item.metadata.name: item.spec for item in objects.connectors},
        {item.metadata.name: dict(item.metadata.annotations) for item in objects.classes},
        {item.key: item.data["a"].reveal() for item in objects.secrets},
        {item.key for item in objects.authorities},
        objects.flags,
    )


@given(st.lists(FILES, max_size=5))
def test_step_by_step_comes_to_the_same_as_reading_everything(moments: list[dict[str, list[str]]]) -> None:
    stepwise, held = merged(class_text("builtin")), dict[object, object]()
    for moment in moments:
        for name in stepwise.files.keys() - moment.keys():
            stepwise.drop(name)
        for name, texts in moment.items():
            stepwise.put(a_file(name, *texts))
        names = sorted(stepwise.files)
        stepwise.reorder(names)
        whole = merged(class_text("builtin"))
        for name in names:
            whole.put(stepwise.files[name])
        assert plain(stepwise.objects()) == plain(whole.objects())
        assert sorted(map(str, stepwise.problems())) == sorted(map(str, whole.problems()))
        changes = stepwise.changes()
        for key, value in (*changes.connectors.items(), *changes.secrets.items()):
            held[key] = value
        objects = stepwise.objects()
        now: dict[object, object] = {item.key: item for item in objects.connectors}
        now.update({item.key: item for item in objects.secrets})
        assert {key: value for key, value in held.items() if value is not None} == now
