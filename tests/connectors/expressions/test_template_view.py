from __future__ import annotations

from typing import Any

import pytest

from connectors.expressions.evaluate import evaluate
from connectors.expressions.parser import parse
from connectors.expressions.template import Root, Subject, TemplateError, specimen
from connectors.expressions.values import GoStruct, field_of
from connectors.objects.connector import Connector
from tests.builders import connector, connector_class, secret

TOOL = connector(
    "tool",
    address="https://h/p",
    addressExtensions=[{"name": "api", "value": "https://api"}],
    params=[{"name": "edition", "value": "cloud"}],
    auth={
        "name": "a",
        "secretRef": {"name": "login", "namespace": "default"},
        "params": [{"name": "repository", "value": "org/r"}],
    },
    caCertSecretRef={"name": "ca"},
)
CLASS = connector_class(
    address={"name": "address"},
    addressExtensions=[{"name": "files", "default": "https://files"}, {"name": "api"}, {"name": "none", "default": ""}],
    params=[{"name": "lang", "default": "en"}, {"name": "edition"}],
    auth={"types": [{"name": "a"}]},
    authProbes=[{"authName": "a", "params": [{"name": "branch", "default": "main"}, {"name": "repository"}]}],
)
KEYS: dict[str, Any] = {"token": b"t0k", "user-name": b"\xff"}
SECRET = secret("login", kind="Opaque", **KEYS)


def rendered(source: str, subject: Subject) -> str:
    return evaluate(parse(source), Root(subject).value()).decode()


@pytest.mark.parametrize(
    ("source", "output"),
    [
        (".Connector.Name", "tool"),
        (".Connector.Namespace", "default"),
        (".Connector.ObjectMeta.Name", "tool"),
        (".Connector.Labels", "map[]"),
        (".Connector.Spec.ConnectorClassName", "demo"),
        (".Connector.Spec.Address", "https://h/p"),
        ("(index .Connector.Spec.Params 0).Name", "lang"),
        ("(index .Connector.Spec.Params 0).Value.Type", "string"),
        (".Connector.Spec.Auth.Name", "a"),
        (".Connector.Spec.Auth.SecretRef.Name", "login"),
        (".Connector.Spec.Auth.SecretRef.Namespace", "default"),
        (".Connector.Spec.CACertSecretRef.Name", "ca"),
        (".Connector.Spec.CaCertSecretRef.Name", "ca"),
        (".ConnectorClass.Name", "demo"),
        (".Secret.Name", "login"),
        (".Secret.Type", "Opaque"),
        (".Secret.StringData.token", "t0k"),
        (".Secret.Data.token", "dDBr"),
        ("index .Secret.Data `user-name`", "/w=="),
        (".connector.metadata.name", "tool"),
        (".connector.name", "tool"),
        (".connector.spec.connectorClassName", "demo"),
        (".connector.spec.address", "https://h/p"),
        (".connector.spec.auth.name", "a"),
        (".connector.spec.auth.secretRef.name", "login"),
        (".connector.spec.caCertSecretRef.name", "ca"),
        (".connectorclass.metadata.name", "demo"),
        (".secret.metadata.name", "login"),
        (".secret.type", "Opaque"),
        (".secret.stringData.token", "t0k"),
        (".secret.data.token | b64dec", "t0k"),
    ],
)
def test_fields_in_both_styles(source: str, output: str) -> None:
    assert rendered("{{ " + source + " }}", Subject(TOOL, CLASS, SECRET)) == output


GO = "{{ range %s }}{{ .Name }}={{ .Value.StringVal }};{{ end }}"
JSON = "{{ range %s }}{{ .name }}={{ .value }};{{ end }}"


@pytest.mark.parametrize(
    ("form", "items", "output"),
    [
        (GO, ".Connector.Spec.Params", "lang=en;edition=cloud;"),
        (GO, ".Connector.Spec.Auth.Params", "branch=main;repository=org/r;"),
        (GO, ".Connector.Spec.AddressExtensions", "files=https://files;api=https://api;none=;"),
        (JSON, ".connector.spec.params", "lang=en;edition=cloud;"),
        (JSON, ".connector.spec.auth.params", "branch=main;repository=org/r;"),
        (JSON, ".connector.spec.addressExtensions", "files=https://files;api=https://api;none=;"),
    ],
)
def test_parameters_come_as_declared_with_the_classs_defaults(form: str, items: str, output: str) -> None:
    assert rendered(form % items, Subject(TOOL, CLASS)) == output


def test_without_a_class_the_parameters_that_are_given() -> None:
    assert rendered(JSON % ".connector.spec.auth.params", Subject(TOOL)) == "repository=org/r;"


def test_a_parameter_of_the_check_under_spec_params_counts_as_one_of_auth() -> None:
    params = [{"name": "repository", "value": "moved"}, {"name": "edition", "value": "x"}]
    tool = connector(params=params, auth={"name": "a"})
    assert rendered(JSON % ".connector.spec.auth.params", Subject(tool, CLASS)) == "branch=main;repository=moved;"
    assert rendered(JSON % ".connector.spec.params", Subject(tool, CLASS)) == "lang=en;edition=x;"
    both = connector(params=params, auth={"name": "a", "params": [{"name": "repository", "value": "own"}]})
    assert rendered(JSON % ".connector.spec.auth.params", Subject(both, CLASS)) == "branch=main;repository=own;"


@pytest.mark.parametrize(
    ("source", "output"),
    [
        ("{{ if .Secret }}y{{ else }}n{{ end }}", "n"),
        ("{{ if .secret }}y{{ else }}n{{ end }}", "n"),
        ("{{ if .Connector.Spec.Auth }}y{{ else }}n{{ end }}", "n"),
        ("{{ if .connector.spec.auth.secretRef.name }}y{{ else }}n{{ end }}", "n"),
        ("{{ range .connector.spec.auth.params }}y{{ else }}n{{ end }}", "n"),
        ("{{ if .ConnectorClass }}y{{ else }}n{{ end }}", "n"),
        ("{{ len .Connector.Spec.Params }}", "0"),
    ],
)
def test_what_is_not_there(source: str, output: str) -> None:
    assert rendered(source, Subject(connector())) == output


@pytest.mark.parametrize(
    "source",
    [
        "{{ .Secret.StringData.token }}",
        "{{ .secret.stringData.token }}",
        "{{ .Connector.Spec.Auth.Name }}",
        "{{ .Connector.Spec.Adress }}",
        "{{ .connector.spec.auth.name }}",
        "{{ range .Connector.Spec.Params }}{{ .Valeu }}{{ end }}",
    ],
)
def test_what_is_not_there_is_never_printed(source: str) -> None:
    with pytest.raises(TemplateError, match="line 1"):
        rendered(source, Subject(connector(params=[{"name": "a", "value": "b"}])))


def names(value: Any) -> dict[str, Any]:
    return {
        name: names(value.field(name)) if isinstance(value.field(name), GoStruct) else None for name in value.fields
    }


def test_the_specimen_has_the_fields_of_every_subject() -> None:
    # Templates are checked against it at admission: what it lacked, no class could use.
    assert names(specimen()) == names(Root(Subject(TOOL, CLASS, SECRET)).value())


@pytest.mark.parametrize("name", ["Secret", "secret"])
def test_t25_reading_the_secret_is_noticed_even_if_there_is_none(name: str) -> None:
    root = Root(Subject())
    value = root.value()
    assert not root.reads_secret
    assert field_of(value, name) is None
    assert root.reads_secret


def test_nothing_but_its_secret_counts_as_its_secret() -> None:
    root = Root(Subject(TOOL, CLASS, SECRET))
    source = "{{ .Connector.Spec.Auth.SecretRef.Name }}{{ .connector.spec.address }}{{ .ConnectorClass.Name }}"
    assert evaluate(parse(source), root.value()) == b"loginhttps://h/pdemo"
    assert not root.reads_secret


def test_a_value_that_is_no_string_is_nil() -> None:
    # Such a Connector is invalid and not served; a template must not fail in another way than by a TemplateError.
    tool = connector(params=[{"name": "a", "value": 3}])
    assert isinstance(tool, Connector)
    assert rendered("{{ if (index .connector.spec.params 0).value }}y{{ end }}", Subject(tool)) == ""
