from __future__ import annotations

import pytest

from connectors.http.response import Response

ANSWER = Response(200, (("Content-Type", "text/html"), ("X-A", "1"), ("x-a", "2")))


@pytest.mark.parametrize(("name", "value"), [("content-type", "text/html"), ("x-a", "1"), ("x-b", "")])
def test_the_first_field_of_a_name(name: str, value: str) -> None:
    assert ANSWER.header(name) == value
