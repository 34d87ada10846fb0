from __future__ import annotations

import pytest

from connectors.expressions.limits import TemplateError, error_at


@pytest.mark.parametrize(
    ("source", "position", "place"),
    [("abc", 0, "line 1, column 1"), ("abc", 2, "line 1, column 3"), ("é\n\nbc", 4, "line 3, column 2")],
)
def test_the_place_is_counted_in_lines_and_characters(source: str, position: int, place: str) -> None:
    assert str(error_at(source, position, "why")) == f"{place}: why"


def test_the_missing_key_is_kept_apart_from_the_message() -> None:
    assert TemplateError("why").missing_key is None
    assert error_at("", 0, "why", missing_key="token").missing_key == "token"
