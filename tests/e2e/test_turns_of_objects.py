"""No object within the limits holds the loop for more than 50 ms of CPU: manifests, templates, checks, PEM, reviews.

See tests/e2e/test_turns.py.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st

from connectors.expressions.check import MAX_SOURCE, CheckError, compile_check
from connectors.expressions.template import MAX_SOURCE as MAX_TEMPLATE
from connectors.expressions.template import Subject, TemplateError, compile_template
from connectors.http.response import Response
from connectors.http.response_reader import MAX_BODY
from connectors.objects.metadata import API_VERSION, GROUP
from connectors.sources.documents import DocumentError
from connectors.sources.manifests import MAX_FILE, read_manifests
from connectors.tls.certificates import MAX_CERTIFICATES, read_pem, signing_key
from controller.admission.review import ReviewError, decode_review
from controller.admission.webhook import SMALL
from tests.builders import connector, connector_class, secret_of
from tests.e2e.turns import BUDGET, atoms, cpu_seconds, filled, longest_piece, repeated

# Not shrunk: examples are large, and one that is too slow would be run for a minute.
SOME = settings(max_examples=40, phases=[Phase.explicit, Phase.generate])
KIB = 1024


# -- manifests: they are read in a thread, which gives others their turns but within one call of C

IN_YAML = atoms(
    r"""59: 1:30 9 0x f _ . ~ { } [ ] , *a *a, <<:*a ' " \\ \ud800 ? % !!int""",
    *(b"a: ", b"a: 1\n", b"- ", b"- 1\n", b"&a ", b"<<: *a\n", b"<<: [*a]", b"!x ", b"!!int ", b"|\n", b"---\n", b"# "),
    *(b"k" * 1000 + b":\n", b"2001-01-01 ", b"kind: List\nitems:\n", b"  "),
)
LONG_KEYS = b"".join(b" " * depth + b"k" * 1000 + b":\n" for depth in range(60))
IN_ONE = b"apiVersion: " + API_VERSION.encode() + b"\nkind: Connector\nmetadata: {name: a}\nspec:\n  params: "


@SOME
@given(repeated(IN_YAML, 128 * KIB), st.booleans())
@example(filled(b"a: ", b"59:", 128 * KIB, b"59"), False)
@example(filled(b"a: ", b"59:", 128 * KIB, b"59.5"), False)
@example(
    filled(b"".join(b" " * depth + b"k" * 1000 + b":\n" for depth in range(60)), b" " * 61 + b"a: 1\n", 128 * KIB),
    False,
)
@example(filled(b"kind: List\nitems:\n", b"- {a: 1, a: 1}\n", 128 * KIB), False)
@example(filled(b"a: &a {" + b"b: 1, c: 1, " * 100 + b"}\nd:\n", b"- {<<: *a}\n", 128 * KIB), False)
@example(IN_ONE + filled(b"[", b"{a: 1},", 128 * KIB, b"]"), False)
def test_t31_a_manifest_costs_what_it_is_long(raw: bytes, json: bool) -> None:
    """A second for 128 KiB is what a file of values of one character takes under a loaded machine's cold cache."""
    assert cpu_seconds(lambda: read_manifests(raw, json=json), DocumentError, enough=1.0) < 1.0


@pytest.mark.parametrize("unit", [b"b ", b"9", b"f", b"_", b"b\n  ", b"#", b"59:", b"\\\\", b"'' ", b"a\t"])
@pytest.mark.parametrize("begin", [b"a: ", b"a: 0x", b"a: '", b'a: "', b"#", b"a: |\n  "])
def test_t31_no_value_of_a_manifest_holds_the_loop(begin: bytes, unit: bytes) -> None:
    """As long as a file may be: libyaml reads one in one piece."""
    raw = filled(begin, unit, MAX_FILE)
    assert longest_piece(lambda: read_manifests(raw), DocumentError) < BUDGET


# -- templates, checks

RANGE = b"{{range .Secret.StringData}}"
IN_TEMPLATES = atoms(
    """{{ }} {{.Secret .StringData .token $ $x := | ( ) " ` \\\\ /* */ {{end}} 1 e+ - a {{else}} print""",
    *(RANGE, b"{{if .}}", b"{{else if .}}", b"print ", b"lower ", b"quote ", b"urlParse ", b"and ", b" $"),
    *(b"contains ", b" .", b"{{- ", b" -}}", b"list ", b"append "),
)
AROUND = Subject(
    connector(address="https://h/" + "a" * 2000),
    connector_class(),
    secret_of({"token": b"a" * 1000 * KIB, **{f"k{number}": b"\xc4\xb0" * KIB for number in range(200)}}),
)


AGAIN = b"{{range $.Secret.StringData}}"


@SOME
@given(repeated(IN_TEMPLATES, MAX_TEMPLATE - 80), st.sampled_from([b"", b"{{", RANGE, RANGE + AGAIN]))
@example(b"{{$x := $.Secret.StringData" + b".a" * 1900 + b"}}", RANGE + AGAIN)
@example(b"{{$x := and" + b" ." * 60 + b"}}", RANGE + AGAIN)
@example(b"{{$x := urlParse $.Connector.Spec.Address}}", RANGE + AGAIN)
def test_t31_no_template_holds_the_loop(value: bytes, begin: bytes) -> None:
    source = (begin + value + b"{{end}}" * begin.count(b"{{range")).decode()

    def rendered() -> None:
        compile_template.cache_clear()
        compile_template(source).render(AROUND)

    assert cpu_seconds(rendered, TemplateError) < BUDGET


IN_CHECKS = atoms(
    """response bodyJSON headers statusCode .bodyString .a [0] == && || ! - ( ) [ ] { } , 'a' 1 + < ? : true x
    .exists(x, .matches(' a{0,60} has( .size() .contains('a') @ ' dyn(""",
    b"in ",
)


@SOME
@given(repeated(IN_CHECKS, MAX_SOURCE))
@example(filled(b"", b"[1].exists(x,x==1)&&", MAX_SOURCE, b"true"))
@example(filled(b"[", b"[[[[[1]]]]],", MAX_SOURCE, b"]==[]"))
@example(filled(b"[", b"1,", MAX_SOURCE, b"]==[]"))
def test_t31_no_check_holds_the_loop_while_it_is_compiled(raw: bytes) -> None:
    source = raw[:MAX_SOURCE].decode()

    def compiled() -> None:
        compile_check.cache_clear()
        compile_check(source)

    assert cpu_seconds(compiled, CheckError) < BUDGET


CHECKS = [
    *("bodyJSON == 1", "||".join(["bodyJSON != bodyJSON"] * 16), "bodyJSON.exists(x, x == 2)", "headers.size() == 0"),
    *(
        "response.bodyString" + "+response.bodyString" * 8 + " == 'a'",
        "&&".join(["response.bodyString.size() != 1"] * 32),
    ),
    *("response.bodyString.matches('(a.{0,120})z')", "response.bodyString.matches('(a|b.{0,60})+.{60}z')"),
    "bodyJSON.exists(x, " + "||".join(["x.contains('zz')"] * 28) + ")",
]
IN_BODIES = atoms(r"""[ ] 1, {"a": } " a b \ 1e308, "a":1, 9999999999999999999""", b"[" * 30 + b"]" * 30 + b",")


@SOME
@given(st.sampled_from(CHECKS), repeated(IN_BODIES, MAX_BODY - 1))
@example(CHECKS[1], filled(b"[", b"[" * 30 + b"]" * 30 + b",", MAX_BODY - 2, b"1]"))
@example(CHECKS[0], filled(b"[", b"[" * 390 + b"]" * 390 + b",", MAX_BODY - 2, b"1]"))
@example(CHECKS[6], filled(b"", b"abcdaxxyab", MAX_BODY))
@example(CHECKS[7], filled(b"", b"abbcdaxxyab", MAX_BODY))
def test_t31_no_answer_holds_the_loop_while_it_is_checked(source: str, body: bytes) -> None:
    check, answer = compile_check(source), Response(200, (("Content-Type", "application/json"),), body)
    assert cpu_seconds(lambda: check.holds(answer), CheckError) < BUDGET


# -- PEM, reviews

BEGIN, FINISH, PRIVATE = b"-----BEGIN CERTIFICATE-----", b"-----END CERTIFICATE-----", b"-----BEGIN PRIVATE KEY-----"
IN_PEM = atoms("MIIB A = -", BEGIN, FINISH, PRIVATE, b"-----END PRIVATE KEY-----", b"-----BEGIN ", b"\0", b"\xff")
SECRET_BYTES = 1024 * KIB


@SOME
@given(repeated(IN_PEM, SECRET_BYTES))
@example(filled(BEGIN, b"A ", SECRET_BYTES, FINISH))
@example(filled(b"", b"-----BEGIN PRIVATE KEY-----\nA", SECRET_BYTES))
def test_t31_no_secret_with_certificates_holds_the_loop(raw: bytes) -> None:
    assert cpu_seconds(lambda: read_pem(raw)) < BUDGET
    assert cpu_seconds(lambda: signing_key(raw)) < BUDGET


def test_t31_as_many_certificates_as_may_be_do_not_hold_the_loop() -> None:
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)

    def pem(number: int) -> bytes:
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, f"ca {number}")])
        made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        made = made.serial_number(number + 1).not_valid_before(now).not_valid_after(now + timedelta(days=1))
        return made.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)

    raw = b"".join(pem(number) for number in range(MAX_CERTIFICATES))
    assert cpu_seconds(lambda: read_pem(raw)) < BUDGET


IN_JSON = atoms(r"""[ ] [], {"a": } " \ 1 1, e308, "params":[ \u0041 {"name":"a","value":"b"},""")
ABOUT = (
    b'{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":{"uid":"1","operation":"CREATE",'
    b'"resource":{"group":"%b","resource":"%b"},"namespace":"b","object":{"metadata":{"name":"a"},"spec":{"params":['
)
END = b"]}}}}"


@SOME
@given(st.sampled_from([b"connectors", b"connectorclasses"]), repeated(IN_JSON, SMALL - KIB))
@example(b"connectors", filled(b"", b'{"a":' * 450 + b"1" + b"}" * 450 + b",", SMALL - KIB, b"1"))
@example(b"connectors", filled(b"", b"[", SMALL // 2) + filled(b"", b"]", SMALL // 2 - KIB))
def test_t31_no_review_holds_the_loop_while_it_is_read(resource: bytes, value: bytes) -> None:
    raw = ABOUT % (GROUP.encode(), resource) + value + END
    assert cpu_seconds(lambda: decode_review(raw), ReviewError) < BUDGET
