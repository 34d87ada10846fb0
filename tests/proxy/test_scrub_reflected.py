from __future__ import annotations

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.scrub import without_credential
from tests.proxy.decisions import forward_of, keyed, request

VALUE = "long/s3cret+%41 x"
QUOTED = quote(VALUE, safe="").encode()
QUERY = keyed(VALUE.encode()).target.query
LOCATION = b"location"


@pytest.mark.parametrize(
    ("sent", "left"),
    [
        pytest.param(b"/a/?key=" + QUOTED, b"/a/", id="alone"),
        pytest.param(b"/a/?x=1&key=" + QUOTED + b"&y#z?", b"/a/?x=1&y#z?", id="between others"),
        pytest.param(b"https://else.example/?KEY=" + QUOTED, b"https://else.example/", id="another origin"),
        pytest.param(b"?k%65y=1", b"", id="only a query"),
        pytest.param(b"a;key=1?x;key=1", b"a;key=1?x", id="in the query alone"),
        pytest.param(b"#?key=1", b"#?key=1", id="fragment"),
        pytest.param(b"/a?x=1", b"/a?x=1", id="nothing to hide"),
    ],
)
def test_t06_the_parameter_goes(sent: bytes, left: bytes) -> None:
    assert without_credential(LOCATION, sent, QUERY) == left


@pytest.mark.parametrize(
    "shown",
    [
        pytest.param(VALUE.encode(), id="raw"),
        pytest.param(QUOTED, id="encoded"),
        pytest.param(QUOTED.lower(), id="encoded in lower case"),
        pytest.param(QUOTED.replace(b"%20", b"+"), id="form-encoded"),
        pytest.param(quote(QUOTED, safe="").encode(), id="encoded twice"),
        pytest.param(b"".join(b"%%%02x" % byte for byte in VALUE.encode()), id="every byte encoded"),
    ],
)
@pytest.mark.parametrize("around", [b"/login?next=%s", b"/a/%s/b", b"/a#key=%s"])
def test_t06_a_field_that_still_shows_it_is_left_out(around: bytes, shown: bytes) -> None:
    assert without_credential(LOCATION, around.replace(b"%s", shown), QUERY) is None


@pytest.mark.parametrize(
    ("name", "sent", "left"),
    [
        (b"link", b'</a?key=1&p=2>; rel="next", <?key=1>; rel=x', b'</a?p=2>; rel="next", <>; rel=x'),
        (b"refresh", b"0; URL = '/a?p=2&key=1'", b"0; URL = '/a?p=2'"),
        (b"refresh", b"5", b"5"),
        (b"content-location", b"/a?key=1", b"/a"),
    ],
)
def test_t06_other_fields_with_addresses(name: bytes, sent: bytes, left: bytes) -> None:
    assert without_credential(name, sent, QUERY) == left


def test_a_short_value_hides_no_field() -> None:
    # Seven bytes may well stand in an address by chance.
    assert without_credential(LOCATION, b"/private?key=private", keyed(b"private").target.query) == b"/private"


def test_without_a_query_credential_nothing_is_touched() -> None:
    assert without_credential(LOCATION, b"/a?key=1", forward_of(request()).target.query) == b"/a?key=1"


SECRETS = st.text("ab%/+?&#= ;\u00e9", min_size=8, max_size=12).filter(lambda text: text == text.strip())


@given(SECRETS, st.sampled_from([LOCATION, b"link", b"refresh"]), st.lists(st.integers(0, 3), max_size=6), st.data())
def test_t06_the_credential_is_never_shown(value: str, name: bytes, order: list[int], data: st.DataObject) -> None:
    raw = value.encode()
    pieces = (b"/a?key=", quote(value, safe="").encode(), raw, b"&next=")
    field = b"".join(pieces[index] for index in order)
    wrapped = {b"link": b"<" + field + b">", b"refresh": b"0; url=" + field}.get(name, field)
    left = without_credential(name, wrapped, keyed(raw).target.query)
    assert left is None or (raw not in left and pieces[1] not in left)
