from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.expressions.template import MAX_OUTPUT, MAX_SOURCE, TemplateError, compile_template
from connectors.model.secret_value import SecretValue

DATA = {
    "token": SecretValue(b"t0k"),
    "user-name": SecretValue(b"u"),
    "empty": SecretValue(b""),
    "raw": SecretValue(b"\xff\n"),
}


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
    ],
)
def test_renders(source: str, output: bytes) -> None:
    assert compile_template(source).render(DATA).reveal() == output


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("{{", "not closed"),
        ("a\n{{ .Secret", "line 2, column 1"),
        ("{{ }}", "expected"),
        ("{{ .Connector.Spec.Address }}", "not understood"),
        ("{{ .Secret.StringData }}", "expected"),
        ("{{ nope .Secret.StringData.token }}", "nope is not known"),
        ("{{ b64enc }}", "b64enc"),
        ("{{ b64enc nope }}", "b64enc"),
        ("{{ .Secret.StringData.token | }}", "expected"),
        ("{{ .Secret.StringData.token .Secret.StringData.token }}", "expected"),
        ("{{ if .Secret }}x{{ end }}", "not understood"),
        ('{{ "x }}', "not understood"),
        ("x" * (MAX_SOURCE + 1), "longer"),
    ],
)
def test_refuses(source: str, said: str) -> None:
    with pytest.raises(TemplateError, match=r".+") as caught:
        compile_template(source)
    assert said in str(caught.value)


@pytest.mark.parametrize("name", ["env", "expandenv", "getHostByName", "readFile", "exec", "include", "tpl", "lookup"])
def test_t19_nothing_reaches_outside_of_the_secret(name: str) -> None:
    with pytest.raises(TemplateError, match="not known"):
        compile_template('{{ %s "HOME" }}' % name)  # noqa: UP031 - braces


@pytest.mark.parametrize(
    ("source", "said"),
    [("{{ .Secret.StringData.lacking }}", "lacking"), ('{{ printf "%d" .Secret.StringData.token }}', "printf")],
)
def test_what_cannot_be_rendered_says_so_without_a_value(source: str, said: str) -> None:
    with pytest.raises(TemplateError, match=said) as caught:
        compile_template(source).render(DATA)
    assert "t0k" not in str(caught.value)


def test_the_output_has_a_limit() -> None:
    big = {"a": SecretValue(b"x" * (MAX_OUTPUT + 1))}
    with pytest.raises(TemplateError, match="longer"):
        compile_template("{{ .Secret.StringData.a }}").render(big)


def test_the_keys_that_it_reads() -> None:
    template = compile_template('a{{ printf "%s" .Secret.StringData.a | b64enc }}{{ index .Secret.StringData "b-c" }}')
    assert template.keys == {"a", "b-c"}


@given(st.text(alphabet='{}-|. \n"`\\%absecrtSDingpfx', max_size=40))
def test_any_source_compiles_or_is_refused(source: str) -> None:
    try:
        template = compile_template(source)
    except TemplateError:
        return
    if not template.keys:
        assert isinstance(template.render({}), SecretValue)
