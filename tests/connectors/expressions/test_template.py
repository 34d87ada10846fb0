from __future__ import annotations

import re
from base64 import b64encode
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.expressions.template import MAX_OUTPUT, MAX_SOURCE, Subject, TemplateError, compile_template
from tests.builders import connector, connector_class, secret

KEYS: dict[str, Any] = {"token": b"t0k", "empty": b"", "raw": b"\xff\n", "user-name": b"u"}
SECRET = secret("login", **KEYS)
TOOL = connector(
    address="https://h/prefix/",
    auth={"name": "a", "secretRef": {"name": "login"}, "params": [{"name": "repository", "value": "org/r"}]},
)
SUBJECT = Subject(TOOL, connector_class(), SECRET)


@pytest.mark.parametrize(
    ("source", "output"),
    [
        ("", b""),
        ("plain", b"plain"),
        ("{{ .Secret.StringData.token }}", b"t0k"),
        ("{{.Secret.StringData.token}}", b"t0k"),
        ("Token {{ .Secret.StringData.token }}!", b"Token t0k!"),
        ('{{ index .Secret.StringData "user-name" }}', b"u"),
        ("{{ .Secret.StringData.empty }}", b""),
        ("{{ .Secret.StringData.raw }}", b"\xff\n"),
        ('{{ printf "u:%s" .Secret.StringData.token | b64enc }}', b"dTp0MGs="),
        ('{{ "x" | printf "%s-%s" .Secret.StringData.token }}', b"t0k-x"),
        ('{{ "a\\"b" }}', b'a"b'),
        ("{{ `a\\b` }}", b"a\\b"),
        ("a {{- .Secret.StringData.token -}} b", b"at0kb"),
        ("a {{ .Secret.StringData.token -}}\n b", b"a t0kb"),
        ("é", "é".encode()),
        ("/{{ (urlParse .Connector.Spec.Address).path | trimPrefix `/` | trimSuffix `/` }}", b"/prefix"),
        (
            '{{- range .connector.spec.auth.params }}{{ if eq .name "repository" }}/{{ .value }}{{ end }}{{ end }}',
            b"/org/r",
        ),
        ("{{- if .Secret }}Bearer {{ .Secret.StringData.token }}{{- end }}", b"Bearer t0k"),
        ("{{ $x := .Secret.StringData }}{{ $x.token }}", b"t0k"),
        ('{{ default "d" .Secret.StringData.nope }}', b"d"),
        ("{{ range $k, $v := .Secret.StringData }}{{ $k }},{{ end }}", b"empty,raw,token,user-name,"),
    ],
)
def test_renders(source: str, output: bytes) -> None:
    assert compile_template(source).render(SUBJECT).value.reveal() == output


def test_without_a_secret_what_asks_for_it_renders_empty() -> None:
    source = "{{- if .Secret }}Basic {{ printf `%s:` .Secret.StringData.token | b64enc }}{{- end }}"
    rendering = compile_template(source).render(Subject(TOOL))
    assert rendering.value.reveal() == b""
    assert rendering.from_secret


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("{{", "not closed"),
        ("a\n{{ .Secret", "line 2, column 1"),
        ("{{ }}", "expected"),
        ("{{ .Sercet }}", "line 1, column 4: the template's data has no field Sercet; it has: Connector,"),
        ("{{ .Connector.Spec.Adress }}", "Spec has no field Adress; it has: ConnectorClassName, Address,"),
        ("{{ $.connector.spec.adress }}", "spec has no field adress"),
        ("{{ range .Connector.Spec.Params }}{{ $.Connector.Nmae }}{{ end }}", "no field Nmae"),
        ("{{ if .Secret.stringData }}x{{ end }}", "the Secret has no field stringData; it has: StringData"),
        ("{{ .Connector.Spec.Params.repository }}", "a list has no field repository"),
        ("{{ .Secret.StringData }}", "cannot be printed as a whole"),
        ("{{ .Secret }}", "cannot be printed as a whole"),
        ("{{ . }}", "cannot be printed as a whole"),
        ("{{ .Connector.Spec }}", "cannot be printed as a whole"),
        ("{{ nope .Secret.StringData.token }}", "nope is not known"),
        ("{{ b64enc }}", "b64enc"),
        ("{{ b64enc nope }}", "nope is not known"),
        ("{{ .Secret.StringData.token | }}", "expected"),
        ("{{ .Secret.StringData.token .Secret.StringData.token }}", "not a function"),
        ('{{ "x }}', "not closed"),
        ("x" * (MAX_SOURCE + 1), "longer"),
    ],
)
def test_refuses(source: str, said: str) -> None:
    with pytest.raises(TemplateError) as caught:
        compile_template(source)
    assert said in str(caught.value)


OUTSIDE = ["env", "expandenv", "getHostByName", "readFile", "exec", "include", "tpl", "lookup", "now", "genPrivateKey"]


@pytest.mark.parametrize("name", [*OUTSIDE, "call", "html", "js", "randAlpha", "toYaml", "get", "osBase", "fail"])
def test_t19_nothing_reaches_outside_of_the_secret(name: str) -> None:
    forms = ('{{ %s "HOME" }}', '{{ "HOME" | %s }}', '{{ print (%s "HOME") }}', "{{ print %s }}")
    said = {form: refusal(form % name) for form in forms}
    expected = rf"line 1, column \d+: function {name} is not known"
    assert not {form: words for form, words in said.items() if not re.search(expected, words)}


def refusal(source: str) -> str:
    """What is said of a template that is refused; empty where it is not."""
    try:
        compile_template(source)
    except TemplateError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("name", ["define", "template", "block", "break", "continue"])
def test_t19_nothing_defines_or_includes(name: str) -> None:
    with pytest.raises(TemplateError, match=f"line 1, column 4: {name} is not supported"):
        compile_template('{{ %s "x" }}' % name)  # noqa: UP031 - braces


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("{{ .Secret.StringData.lacking }}", "line 1, column 4: the Secret lacks the key lacking"),
        ("{{ .Secret.StringData.lacking | b64enc }}", "the Secret lacks the key lacking"),
        ('{{ printf "%d" .Secret.StringData.token }}', "printf"),
        ("{{ index .Connector.Labels .Secret.StringData.token }}", "a key that the template computes"),
        ("{{ index .Secret.StringData .Secret.StringData.token }}", "a key that the template computes"),
        ("{{ .Secret.StringData.token | index .Connector.Labels }}", "a key that the template computes"),
        ("{{ b64dec .Secret.StringData.token }}", "not base64"),
        ("{{ urlParse .Secret.StringData.raw }}", "not a URL"),
        ("{{ len .Secret.StringData.token | index (list 1) }}", "beyond the end"),
        ("{{ eq .Secret.StringData.token 1 }}", "cannot be compared"),
        ("{{ printf .Secret.StringData.token 1 }}", "asks for 0 values"),
        ("{{ .Secret.StringData.token.x }}", "a string has no field x"),
        ("{{ print .Secret }}", "cannot be printed"),
        ("{{ print . }}", "cannot be printed"),
        ("{{ $x := . }}{{ $x }}", "cannot be printed"),
        ('{{ printf "%v" .Secret.StringData }}', "cannot be printed"),
        ('{{ list .Secret | join "," }}', "cannot be printed"),
        ("{{ with .Secret }}{{ .StringData }}{{ end }}", "cannot be printed"),
        ("{{ range list .Secret.Data }}{{ . }}{{ end }}", "cannot be printed"),
        ("{{ quote .Secret.Data }}", "cannot be printed"),
        ("{{ urlquery .Secret }}", "cannot be printed"),
        ("{{ range .Secret }}{{ end }}", "range takes"),
    ],
)
def test_what_cannot_be_rendered_says_so_without_a_value(source: str, said: str) -> None:
    with pytest.raises(TemplateError, match="line 1, column") as caught:
        compile_template(source).render(SUBJECT)
    assert said in str(caught.value)
    assert "t0k" not in str(caught.value)


@pytest.mark.parametrize(
    ("source", "key"),
    [
        ("{{ .Secret.StringData.lacking }}", "lacking"),
        ('{{ index .Secret.Data "a-b" | b64dec }}', "a-b"),
        ("{{ index .Secret.StringData .Connector.Name }}", ""),
        ("{{ .Connector.Labels.lacking }}", None),
        ("{{ b64dec .Secret.StringData.token }}", None),
    ],
)
def test_which_key_the_secret_lacks(source: str, key: str | None) -> None:
    with pytest.raises(TemplateError) as caught:
        compile_template(source).render(SUBJECT)
    assert caught.value.missing_key == key


def test_the_output_has_a_limit() -> None:
    big = Subject(secret=secret(a=b"x" * (MAX_OUTPUT + 1)))
    with pytest.raises(TemplateError, match="longer"):
        compile_template("{{ .Secret.StringData.a }}").render(big)


SMUGGLED = [
    "{{ .Secret.StringData.token }}",
    "{{ .secret.stringData.token }}",
    "{{ $.Secret.StringData.token }}",
    "{{ $.secret.type }}",
    "{{ .Secret.Name }}",
    "{{ $r := . }}{{ $r.Secret.StringData.token }}",
    "{{ $s := .Secret }}fixed",
    "{{ with . }}{{ .Secret.StringData.token }}{{ end }}",
    "{{ with $ }}{{ with .Secret }}{{ with .StringData }}{{ .token }}{{ end }}{{ end }}{{ end }}",
    "{{ range list . }}{{ .Secret.StringData.token }}{{ end }}",
    "{{ range $k, $v := .Secret.StringData }}x{{ end }}",
    "{{ (index (list $) 0).Secret.StringData.token }}",
    "{{ (first (list .)).secret.stringData.token }}",
    "{{ (. | and true).Secret.StringData.token }}",
    "{{ (or false $).Secret.StringData.token }}",
    "{{ (default 1 .).Secret.StringData.token }}",
    '{{ index .Secret.StringData "token" }}',
    '{{ printf "%s" (b64enc .Secret.Data.token) }}',
    "{{ if .Secret }}{{ end }}",
    "{{ if not .Secret }}x{{ end }}",
    "{{ if eq .Secret nil }}x{{ end }}",
    "{{ if hasPrefix `t` .Secret.StringData.token }}yes{{ else }}no{{ end }}",
    "{{ if .Secret.StringData.nope }}yes{{ end }}",
    "{{ $x := `` }}{{ if .Secret.StringData.token }}{{ $x = `a` }}{{ end }}{{ $x }}",
    "{{ len .Secret.StringData }}",
    "{{ and .Secret .Connector.Name }}",
]


@pytest.mark.parametrize("source", SMUGGLED)
def test_t25_whatever_way_it_takes_a_rendering_knows_that_it_saw_the_secret(source: str) -> None:
    assert compile_template(source).render(SUBJECT).from_secret


@pytest.mark.parametrize(
    "source",
    [
        "",
        "plain .Secret",
        "{{ .Connector.Spec.Address }}",
        "{{ .Connector.Spec.Auth.SecretRef.Name }}",
        "{{ with . }}{{ .Connector.Name }}{{ end }}",
        "{{ $r := $ }}{{ $r.connector.name }}",
        "{{ range list . }}{{ .ConnectorClass.Name }}{{ end }}",
        '{{ or "x" .Secret.StringData.token }}',
        "{{ if .Connector.Labels }}{{ .Secret.StringData.token }}{{ end }}",
    ],
)
def test_t25_a_rendering_that_did_not_look_at_the_secret_says_so(source: str) -> None:
    assert not compile_template(source).render(SUBJECT).from_secret


def test_one_rendering_knows_nothing_of_another() -> None:
    template = compile_template("{{ if .Connector.Labels.secret }}{{ .Secret.Name }}{{ end }}")
    assert not template.render(SUBJECT).from_secret
    assert compile_template("{{ .Secret.Name }}").render(SUBJECT).from_secret
    assert not template.render(SUBJECT).from_secret


def test_neither_template_nor_rendering_shows_a_value() -> None:
    template = compile_template("{{ .Secret.StringData.token }}")
    assert "t0k" not in repr(template.render(SUBJECT)) + repr(template)


def test_equal_sources_are_compiled_once() -> None:
    assert compile_template("{{ .Secret.Name }}") is compile_template("{{ .Secret.Name }}")


@given(st.binary(max_size=300))
def test_any_bytes_of_a_secret_come_through_unharmed(value: bytes) -> None:
    subject = Subject(secret=secret(x=value))
    assert compile_template("{{ .Secret.StringData.x }}").render(subject).value.reveal() == value
    assert compile_template("{{ .Secret.Data.x }}").render(subject).value.reveal() == b64encode(value)
    assert compile_template("{{ b64enc .Secret.StringData.x }}").render(subject).value.reveal() == b64encode(value)
    assert compile_template("{{ .Secret.Data.x | b64dec }}").render(subject).value.reveal() == value


@given(st.text(alphabet='{}-|. \n"`\\%absecrtSDingpfx', max_size=40))
def test_any_source_compiles_or_is_refused(source: str) -> None:
    try:
        compile_template(source).render(SUBJECT)
    except TemplateError:
        return
