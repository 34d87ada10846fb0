"""Go templates, the subset that classes use: compile once, render over a Connector, its class and its Secret.

No environment, no DNS, no files (threat 19): a template sees its subject and nothing else. docs/classes.md has the
language, connectors/expressions/limits.py what bounds it.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from connectors.expressions.evaluate import Program, evaluate
from connectors.expressions.limits import (
    MAX_ITEMS,
    MAX_NESTING,
    MAX_OUTPUT,
    MAX_SOURCE,
    MAX_STEPS,
    TemplateError,
)
from connectors.expressions.parser import parse
from connectors.expressions.values import Deferred, GoStruct, Map, Missing, Value, from_data
from connectors.objects.connector import CaCertSecretRef, Connector, ConnectorAuth, NamedValue, SecretReference
from connectors.objects.connector import ConnectorSpec as Spec
from connectors.objects.connector_class import ConnectorClass, ParameterSpec
from connectors.objects.metadata import ObjectMeta
from connectors.objects.secret import Secret, SecretValue

__all__ = [
    "MAX_ITEMS",
    "MAX_NESTING",
    "MAX_OUTPUT",
    "MAX_SOURCE",
    "MAX_STEPS",
    "Rendering",
    "Subject",
    "Template",
    "TemplateError",
    "compile_template",
]


@dataclass(frozen=True, slots=True)
class Subject:
    """A Connector, its class and its Secret: all that a template may read. What is None is nil in the template."""

    connector: Connector | None = None
    connector_class: ConnectorClass | None = None
    secret: Secret | None = None


@dataclass(slots=True)
class Root:
    """What a template sees of its subject, under the names of Go's types (.Connector) and of JSON (.connector).

    `reads_secret` becomes true as soon as anything looks at its Secret; `keys` are those of its keys that were read.

    Whatever way a template takes there ($, with, range, variables, a mere condition), it begins with reading this one
    field, so that what follows implicitly from the Secret counts too (threat 25).
    """

    subject: Subject
    reads_secret: bool = field(default=False, init=False)
    keys: set[str] = field(default_factory=set, init=False)

    def value(self) -> GoStruct:
        """The value behind `.` and `$`."""
        return GoStruct(
            "the template's data",
            {
                "Connector": Deferred(lambda: _connector(self.subject, go=True)),
                "ConnectorClass": Deferred(lambda: _class(self.subject.connector_class, go=True)),
                "Secret": Deferred(lambda: self._secret(go=True)),
                "connector": Deferred(lambda: _connector(self.subject, go=False)),
                "connectorclass": Deferred(lambda: _class(self.subject.connector_class, go=False)),
                "secret": Deferred(lambda: self._secret(go=False)),
            },
        )

    def _secret(self, *, go: bool) -> Value:
        self.reads_secret = True
        return _secret(self.subject.secret, self.keys, go=go)


def specimen() -> GoStruct:
    """A root in which everything is there, against which the names of fields are compared."""
    auth = ConnectorAuth(secret_ref=SecretReference())
    connector = Connector(spec=Spec(auth=auth, ca_cert_secret_ref=CaCertSecretRef()))
    return Root(Subject(connector, ConnectorClass(), Secret(ObjectMeta(), "", {}))).value()


class _Read(Mapping[bytes, Value]):
    """The values of a Secret, which notes the keys that are read in `keys`."""

    def __init__(self, values: dict[bytes, Value], keys: set[str]) -> None:
        self._values, self._keys = values, keys

    def __getitem__(self, key: bytes) -> Value:
        value = self._values[key]
        self._keys.add(key.decode())
        return value

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)


def _secret(secret: Secret | None, keys: set[str], *, go: bool) -> Value:
    if secret is None:
        return None
    plain = {key.encode(): value for key, value in secret.data.items()}
    data = Deferred(lambda: Map(_Read({key: b64encode(item.reveal()) for key, item in plain.items()}, keys), True))
    string_data = Map(_Read({key: item.reveal() for key, item in plain.items()}, keys), secret=True)
    meta = secret.metadata
    if go:
        own = _go_metadata(meta)
        return GoStruct("the Secret", {"StringData": string_data, "Data": data, "Type": from_data(secret.type), **own})
    own = {"name": from_data(meta.name), "metadata": _json_metadata(meta)}
    return GoStruct("the Secret", {"stringData": string_data, "data": data, "type": from_data(secret.type), **own})


def _class(connector_class: ConnectorClass | None, *, go: bool) -> Value:
    if connector_class is None:
        return None
    meta = connector_class.metadata
    if go:
        return GoStruct("the ConnectorClass", _go_metadata(meta))
    return GoStruct("the ConnectorClass", {"name": from_data(meta.name), "metadata": _json_metadata(meta)})


def _go_metadata(meta: ObjectMeta) -> Mapping[str, Value | Deferred]:
    """metav1.ObjectMeta is embedded: its fields can be reached with its name and without."""
    fields: dict[str, Value | Deferred] = {
        "Name": from_data(meta.name),
        "Namespace": from_data(meta.namespace),
        "Labels": Deferred(lambda: from_data(meta.labels)),
        "Annotations": Deferred(lambda: from_data(meta.annotations)),
    }
    return {"ObjectMeta": GoStruct("ObjectMeta", fields), **fields}


def _json_metadata(meta: ObjectMeta) -> GoStruct:
    return GoStruct(
        "metadata",
        {
            "name": from_data(meta.name),
            "namespace": from_data(meta.namespace),
            "labels": Deferred(lambda: from_data(meta.labels)),
            "annotations": Deferred(lambda: from_data(meta.annotations)),
        },
    )


@dataclass(frozen=True, slots=True)
class _Parameters:
    """Names and values, the class's defaults included."""

    extensions: tuple[tuple[str, Value], ...]
    own: tuple[tuple[str, Value], ...]
    auth: tuple[tuple[str, Value], ...]


def _connector(subject: Subject, *, go: bool) -> Value:
    connector = subject.connector
    if connector is None:
        return None
    meta = connector.metadata
    spec = Deferred(lambda: (_go_spec if go else _json_spec)(connector.spec, _parameters(subject, connector.spec)))
    if go:
        return GoStruct("the Connector", {**_go_metadata(meta), "Spec": spec})
    fields = {"name": from_data(meta.name), "namespace": from_data(meta.namespace), "metadata": _json_metadata(meta)}
    return GoStruct("the connector", {**fields, "spec": spec})


def _go_spec(spec: Spec, parameters: _Parameters) -> GoStruct:
    authority: Value = None
    if spec.ca_cert_secret_ref is not None:
        authority = GoStruct("CACertSecretRef", {"Name": from_data(spec.ca_cert_secret_ref.name)})
    auth: Value = None
    if spec.auth is not None:
        found = spec.auth.secret_ref
        reference = GoStruct("SecretRef", _names(found, "Name", "Namespace")) if found else None
        fields: Mapping[str, Value] = {"SecretRef": reference, "Params": _go_items(parameters.auth)}
        auth = GoStruct("Auth", {"Name": from_data(spec.auth.name), **fields})
    return GoStruct(
        "Spec",
        {
            "ConnectorClassName": from_data(spec.connector_class_name),
            "Address": from_data(spec.address),
            "AddressExtensions": _go_items(parameters.extensions),
            "Params": _go_items(parameters.own),
            "Auth": auth,
            "CACertSecretRef": authority,
            "CaCertSecretRef": authority,
        },
    )


def _go_items(items: Sequence[tuple[str, Value]]) -> Value:
    return tuple(
        GoStruct(
            "the item", {"Name": name.encode(), "Value": GoStruct("Value", {"StringVal": value, "Type": b"string"})}
        )
        for name, value in items
    )


def _json_spec(spec: Spec, parameters: _Parameters) -> GoStruct:
    """What may be left out in a manifest is missing here, as a key of a map: false in a condition."""
    authority: Value = Missing("caCertSecretRef")
    if spec.ca_cert_secret_ref is not None:
        authority = GoStruct("caCertSecretRef", {"name": from_data(spec.ca_cert_secret_ref.name)})
    auth: Value = Missing("auth")
    if spec.auth is not None:
        found = spec.auth.secret_ref
        reference = GoStruct("secretRef", _names(found, "name", "namespace")) if found else Missing("secretRef")
        fields: Mapping[str, Value] = {"secretRef": reference, "params": _json_items(parameters.auth)}
        auth = GoStruct("auth", {"name": from_data(spec.auth.name), **fields})
    return GoStruct(
        "spec",
        {
            "connectorClassName": from_data(spec.connector_class_name),
            "address": from_data(spec.address),
            "addressExtensions": _json_items(parameters.extensions),
            "params": _json_items(parameters.own),
            "auth": auth,
            "caCertSecretRef": authority,
        },
    )


def _json_items(items: Sequence[tuple[str, Value]]) -> Value:
    return tuple(GoStruct("the item", {"name": name.encode(), "value": value}) for name, value in items)


def _names(reference: SecretReference, name: str, namespace: str) -> Mapping[str, Value]:
    return {name: from_data(reference.name), namespace: from_data(reference.namespace)}


def _parameters(subject: Subject, spec: Spec) -> _Parameters:
    """A parameter of the authentication probe under spec.params counts as one of spec.auth.params."""
    auth = spec.auth or ConnectorAuth()
    of_class = subject.connector_class.spec if subject.connector_class else ConnectorClass().spec
    probe = subject.connector_class.auth_probe(auth.name) if subject.connector_class and auth.name else None
    of_probe = probe.params if probe else ()
    misplaced = {spec.name for spec in of_probe} - {spec.name for spec in of_class.params}
    moved = [item for item in spec.params if item.name in misplaced]
    own = [item for item in spec.params if item.name not in misplaced]
    return _Parameters(
        tuple(_merged(spec.address_extensions, of_class.address_extensions)),
        tuple(_merged(own, of_class.params)),
        tuple(_merged([*moved, *auth.params], of_probe)),
    )


def _merged(given: Sequence[NamedValue], declared: Sequence[ParameterSpec]) -> Iterator[tuple[str, Value]]:
    """In the order of the declarations, with their defaults; what is not declared comes last."""
    values = {item.name: item.value for item in given}
    for spec in declared:
        if spec.name in values or isinstance(spec.default, str):
            yield spec.name, _text(values.pop(spec.name, spec.default))
    yield from ((name, _text(value)) for name, value in values.items())


def _text(value: object) -> Value:
    return from_data(value) if isinstance(value, str) else None


_SPECIMEN = specimen()


@dataclass(frozen=True, slots=True)
class Rendering:
    """What a template wrote. `from_secret`: it looked at the Secret on the way, be it in a condition only.

    `keys`: those of the Secret's keys whose values it read.
    """

    value: SecretValue
    from_secret: bool
    keys: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Template:
    """A compiled template."""

    _program: Program = field(repr=False)

    def render(self, subject: Subject) -> Rendering:
        """Render over a subject.

        Raises:
            TemplateError: a value is missing, a function refuses its arguments, or a limit is passed. The message
                has line and column, and never a rendered value.
        """
        root = Root(subject)
        value = SecretValue(evaluate(self._program, root.value()))
        return Rendering(value, root.reads_secret, frozenset(root.keys))


@lru_cache(maxsize=1024)
def compile_template(source: str) -> Template:
    """Compile; equal sources share one Template.

    Raises:
        TemplateError: with line and column, where the source leaves the subset.
    """
    return Template(parse(source, _SPECIMEN))
