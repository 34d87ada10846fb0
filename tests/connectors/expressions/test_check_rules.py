from __future__ import annotations

from time import thread_time

import pytest

from connectors.expressions.check import CheckError, compile_check
from connectors.expressions.check_rules import repeated_parts
from connectors.http.response import Response

JSON = (("Content-Type", "application/json"),)


@pytest.mark.parametrize(
    ("source", "reads_body"),
    [
        ("response.statusCode == 200", False),
        ("response.headers['x'][0] == 'body'", False),
        ("statusCode == 200 && size(headers) > 0", False),
        ("true", False),
        ("response.body.valid", True),
        ("has(response.body)", True),
        ("response.bodyString == ''", True),
        ("bodyJSON == null", True),
        ("response['body'].valid", True),
        ("response == response", True),
        ("response.exists(k, k == 'x')", True),
        ("[{'a': response.body}][0].a.x", True),
        ("response.statusCode == 1 ? response.body.x : false", True),
        ("headers.exists(name, name == 'x')", False),
    ],
)
def test_whether_the_body_is_read(source: str, *, reads_body: bool) -> None:
    assert compile_check(source).reads_body is reads_body


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("response.body.map(x, x) == []", "line 1, column 18: map and filter are not supported"),
        ("\nresponse.body.filter(x, x.ok).size() > 0", "line 2, column 21: map and filter are not supported"),
        ("response.body.map(x, x > 1, x) == []", "map and filter are not supported"),
        ("response.body.exists(x, x.l.exists(y, y))", "another loop cannot stand inside"),
        ("response.body.exists_one(x, x.l.all(y, y))", "another loop cannot stand inside"),
        ("response.body.all(x, x == response.statusCode)", "response cannot stand inside"),
        ("response.body.all(x, x == response['statusCode'])", "response cannot stand inside"),
        ("[1].all(x, headers.a == [])", "headers cannot stand inside"),
        ("[1].all(x, bodyJSON == x)", "bodyJSON cannot stand inside"),
        ("[1].all(x, statusCode == x)", "statusCode cannot stand inside"),
        ("[dyn(1)].all(x, {'a': [response]} == x)", "response cannot stand inside"),
        ("['a'].exists(x, x + x == 'aa')", "line 1, column 19: + cannot stand inside"),
        ("[1].exists_one(x, x + 1 == 2)", "+ cannot stand inside"),
        ("['a'].exists(x, x.matches('a'))", "matches cannot stand inside"),
        ("response.bodyString.matches(response.body.p)", "a string in quotes"),
        ("matches(response.bodyString, response.body.p)", "a string in quotes"),
        ("response.bodyString.contains(response.body.p)", "line 1, column 29: contains takes what it looks for"),
        ("response.bodyString.matches('" + "a" * 257 + "')", "longer than 256"),
        (" || ".join(["response.bodyString.matches('a')"] * 3), "more than 2 regular expressions"),
        ("+".join(["response.bodyString"] * 10) + " == ''", "more than 8 times +"),
        (" || ".join(["response.body.a"] * 33), "more than 32 times"),
        ("[1].all(x, " + " || ".join(["x == 1"] * 33) + ")", "more than 32 times"),
    ],
)
def test_what_could_cost_too_much_is_refused(source: str, said: str) -> None:
    with pytest.raises(CheckError, match=r"^line \d+, column \d+: ") as caught:
        compile_check(source)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    "source",
    [
        "response.body.exists(x, x.n == 'a' && has(x.m) && x.m.contains('b'))",
        "response.body.all(x, x.n.startsWith('a') || x.n.endsWith('b') || size(x.n) < 3)",
        "response.body.exists_one(x, x.n in ['a', 'b'])",
        "response.body.exists(x, x.n == 'a') && !response.body.exists(x, x.n == 'c')",
        "response.bodyString.matches('^a') || response.bodyString.matches('b$')",
        "response.headers['x'][0] + ':' + response.headers['y'][0] == 'a:b'",
        "response.statusCode + 1 == 201",
    ],
)
def test_what_expressions_need_is_not(source: str) -> None:
    assert compile_check(source)


NUMBERS = b"[" + b",".join(b"%d" % number for number in range(9_999)) + b"]"
LETTERS = b'"' + b"ab" * 500_000 + b'"'


@pytest.mark.parametrize(
    ("source", "body"),
    [
        ("response.body.exists(x, x in [" + ",".join(map(str, range(10_000, 10_500))) + "])", NUMBERS),
        ("response.body.exists(x, x == -1 || x == -2)", NUMBERS),
        ("response.bodyString.matches('[ab]*a" + "." * 100 + "c')", LETTERS),
        ("response.bodyString.contains('" + "ab" * 1500 + "c')", LETTERS),
        ("+".join(["response.bodyString"] * 9) + " == ''", LETTERS),
        (
            "[" + ",".join(["response.bodyString"] * 15) + "].exists(x, " + " || ".join(["x.size() == 1"] * 15) + ")",
            LETTERS,
        ),
    ],
)
def test_what_is_left_takes_no_seconds(source: str, body: bytes) -> None:
    check = compile_check(source)
    began = thread_time()
    assert not check.holds(Response(200, JSON, body))
    assert thread_time() - began < 5, "half a second is meant; the rest is for a busy machine"


@pytest.mark.parametrize(
    ("pattern", "parts"),
    [
        ("a" * 256, 0),
        ("a*", 1),
        ("(ab){0,50}", 100),
        ("(a?){3}", 3),
        ("((a{2}){3}){4}", 24),
        (r"\{9\}", 0),
        ("(a.{0,900})z", 900),
        ("(?i)v[0-9]+[.]", 1),
        ("(a|bc)+d?", 4),
        ("[]a]{5}[^]b]", 5),
        ("x{3,}", 3),
        ("a{", 0),
        ("((", 0),
    ],
)
def test_t31_counted_repetitions_count_as_if_they_were_written_out(pattern: str, parts: int) -> None:
    assert repeated_parts(pattern) == parts


def test_t31_regular_expressions_repeat_a_limited_number_of_parts_together() -> None:
    one = "response.bodyString.matches('(ab){0,%d}')"
    assert compile_check(one % 32 + " && " + one % 32)
    with pytest.raises(CheckError, match=r"^line 1, column \d+: regular expressions repeat more than 128 parts"):
        compile_check(one % 32 + " && " + one % 33)
