"""CEL, for `response.cel` of probes: compile once, ask of each answer whether it holds.

The evaluator is Google's (cel-expr-python). It limits nesting and the turns of loops, and not what a turn costs:
check_rules.py does. Its messages quote values of the answer, so none of them is passed on.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache

import msgspec
from cel_expr_python import cel

from connectors.expressions.check_rules import CheckError, CheckUse, check_rules
from connectors.http.response import Response
from connectors.json_depth import too_deep

__all__ = ["MAX_SOURCE", "Check", "CheckError", "compile_check"]

# Characters of an expression. The longest of the published classes has under 100; compiling this much takes 2 ms.
MAX_SOURCE = 4096

# Arrays and objects of a body that is read as JSON: an expression may go through all of them several times, and 64 KiB
# of nothing but brackets have 32,000. Objects of real answers have some twenty bytes each.
MAX_CONTAINERS = 8192

_ENVIRONMENT = cel.NewEnv(
    variables={
        "response": cel.Type.Map(cel.Type.STRING, cel.Type.DYN),
        "statusCode": cel.Type.INT,
        "headers": cel.Type.Map(cel.Type.STRING, cel.Type.List(cel.Type.STRING)),
        "bodyJSON": cel.Type.DYN,
    }
)
_WHERE = re.compile(r"ERROR: <input>:(?P<line>-?\d+):(?P<column>-?\d+): (?P<said>[^\n]*)")
_CONTAINER = re.compile(r" \(in container '[^']*'\)| \[[A-Z_]+\]$")
# Where a body may hold what the library does not take as it is.
_DELICATE = re.compile(rb"[0-9]{19}|\\u0000")
_INT64 = range(-(2**63), 2**63)
# What the library raises: RuntimeErrors of its own, and the others where it converts values.
_RUNTIME = (RuntimeError, ValueError, TypeError, OverflowError)
# The canonical code with which a message of the library begins -> what is said instead.
_CODES = {
    "NOT_FOUND": "looks for a key that is not in the answer; test with has() first",
    "OUT_OF_RANGE": "gets a number that is out of range",
    "INVALID_ARGUMENT": "meets a value in the answer that has not the kind or form that it needs",
    "UNKNOWN": "meets a value in the answer of another kind, or a list that is shorter, than it expects",
    "INTERNAL": "goes through too many items of the answer",
    "CANCELLED": "is nested too deep",
}


@dataclass(frozen=True, slots=True)
class Check:
    """A compiled expression; `source` is its text."""

    source: str
    _expression: cel.Expression = field(repr=False)
    _use: CheckUse

    @property
    def reads_body(self) -> bool:
        """Whether it mentions the body in any form; if not, it need not be read."""
        return self._use.reads_body

    def holds(self, response: Response) -> bool:
        """Whether the expression is true of `response`.

        Raises:
            CheckError: it yields no boolean. The message holds nothing of the answer.
        """
        try:
            value = self._expression.eval(data=self._data(response))
            kind, result = value.type(), value.value()
        except _RUNTIME as error:
            raise _evaluation_error(str(error)) from None
        if kind == cel.Type.BOOL:
            return result is True
        if kind == cel.Type.ERROR:
            raise _evaluation_error(str(result))
        name = re.split(r"[<(]", kind.name())[0].lower()
        raise CheckError(f"the expression yields a value of type {name}, not true or false; compare it with something")

    def _data(self, response: Response) -> Mapping[str, object]:
        headers = _headers(response)
        body = _json(response) if self.reads_body else None
        text = _clean(response.body.decode("utf-8", "replace")) if self.reads_body else ""
        whole = {"statusCode": response.status, "headers": headers, "body": body, "bodyString": text}
        return {"response": whole, "statusCode": response.status, "headers": headers, "bodyJSON": body}


@lru_cache(maxsize=256)
def compile_check(source: str) -> Check:
    """Compile; equal sources share one Check.

    Raises:
        CheckError: with line and column, if it is not CEL, cannot be true or false, or may cost too much.
    """
    if len(source) > MAX_SOURCE:
        raise CheckError(f"the expression is longer than {MAX_SOURCE} characters")
    try:
        source.encode()
        expression = _ENVIRONMENT.compile(source)
    except _RUNTIME as error:
        raise _compile_error(str(error)) from None
    kind = expression.return_type()
    if kind not in (cel.Type.BOOL, cel.Type.DYN):
        name = re.split(r"[<(]", kind.name())[0].lower()
        raise CheckError(f"line 1, column 1: the expression is of type {name}; it must be true or false")
    return Check(source, expression, check_rules(expression.serialize(), source))


def _compile_error(said: str) -> CheckError:
    """The library's first complaint, which quotes the expression alone."""
    found = _WHERE.search(said)
    if found is None:
        return CheckError("line 1, column 1: not an expression that is understood")
    if int(found["line"]) < 1:
        return CheckError("line 1, column 1: the expression is nested too deep")
    return CheckError(f"line {found['line']}, column {found['column']}: {_CONTAINER.sub('', found['said'])}")


def _evaluation_error(said: str) -> CheckError:
    code = said.partition(":")[0]
    return CheckError(f"the expression {_CODES.get(code, 'cannot be evaluated over this answer')}")


def _headers(response: Response) -> dict[str, list[str]]:
    """Values by name, once in lower case and once as in Content-Type: published expressions use both."""
    headers: dict[str, list[str]] = {}
    for name, value in response.headers:
        lower = _clean(name).lower()
        headers.setdefault(lower, []).append(_clean(value))
    canonical = {"-".join(part.capitalize() for part in name.split("-")): values for name, values in headers.items()}
    return {**headers, **canonical}


def _clean(text: str) -> str:
    """The text without lone surrogates, which the library refuses, and without NUL, at which it ends a string."""
    return text.encode("utf-8", "replace").decode().replace("\0", "\ufffd")


def _json(response: Response) -> object:
    """The body as a value, if Content-Type says JSON and it is; else None (RFC 8259, RFC 6839 section 3.1).

    A body that is nested too deeply counts as no JSON: the library converts values by recursion in C, and a few
    thousand levels end the process. Nor does one with more than MAX_CONTAINERS.
    """
    media = response.header("content-type").partition(";")[0].strip().lower()
    if not response.complete or not (media == "application/json" or media.endswith("+json")):
        return None
    if response.body.count(b"[") + response.body.count(b"{") > MAX_CONTAINERS or too_deep(response.body):
        return None
    try:
        decoded: object = _DECODER.decode(response.body)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
    return _cleaned(decoded) if _DELICATE.search(response.body) else decoded


def _float(text: str) -> float:
    """A number of the body. msgspec's own takes 8 us for some of them (1e308), which is 1.4 s for 1 MiB; this 0.2 us.

    Raises:
        ValueError: it is larger than any float.
    """
    value = float(text)
    if not math.isfinite(value):
        raise ValueError("out of range")
    return value


_DECODER = msgspec.json.Decoder(float_hook=_float)


def _cleaned(value: object) -> object:
    """Integers beyond int64 become floats, as in Go: the library refuses a whole body for one of them."""
    match value:
        case dict():
            # A loop: a comprehension is a call of its own in Python 3.11, which bears no two for each of MOST_LEVELS.
            cleaned = {}
            for key, item in value.items():
                cleaned[_clean(key)] = _cleaned(item)
            return cleaned
        case list():
            return list(map(_cleaned, value))
        case str():
            return _clean(value)
        case bool():
            return value
        case int() if value not in _INT64:
            # float() refuses what is larger than any float.
            return float(value) if abs(value) < 2**1023 else None
        case _:
            return value
