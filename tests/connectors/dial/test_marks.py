from __future__ import annotations

import pytest

from connectors.dial.marks import EXTERNAL_URL, MARK, Marks, parse_origins
from connectors.objects.addresses import parse_address
from connectors.objects.connector import ConnectorKey

KEY = ConnectorKey("team", "tool")
PUBLISHED = parse_origins("https://8.8.8.8, http://[2606:4700::1111]:8080/base,https://connectors.example")


def test_a_mark_is_known_in_any_value_and_tells_no_name() -> None:
    mark = Marks("one").of(KEY)
    assert MARK.findall(b"a, " + mark + b";x=1") == [mark]
    assert b"team" not in mark
    assert mark == Marks("one", PUBLISHED).of(KEY) != Marks("two").of(KEY)


@pytest.mark.parametrize(
    ("address", "marked"),
    [
        ("https://8.8.8.8", True),
        ("https://8.8.8.8:443/any/path", True),
        ("https://8.8.8.8:8443", False),
        ("http://8.8.8.8", False),
        ("http://[2606:4700::1111]:8080", True),
        ("https://8.8.4.4", False),
        ("http://10.0.0.1", True),
        ("https://connectors.example", True),
        ("https://elsewhere.example", True),
    ],
)
def test_t34_what_leads_to_where_the_installation_is_published_is_marked(address: str, marked: bool) -> None:
    assert Marks("one", PUBLISHED).may_lead_back(parse_address(address)) is marked


@pytest.mark.parametrize(
    "text", ["connectors.example", "https://a,", "ftp://a", "https://user:canary@a", "https://a?b"]
)
def test_what_is_no_url(text: str) -> None:
    with pytest.raises(ValueError, match=r"^a URL ") as error:
        parse_origins(text)
    assert "canary" not in str(error.value)


def test_none() -> None:
    assert EXTERNAL_URL.parser.parse(EXTERNAL_URL.default) == frozenset()
