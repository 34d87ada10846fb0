"""docs/clients.md shows the snippets as `connectors get` prints them. tests/e2e/test_snippets.py runs them."""

from __future__ import annotations

import pytest

from standalone.snippet import PARTS, SnippetTarget, default_token_file
from tests.docs.pages import blocks

PAGE = "docs/clients.md"
TARGET = SnippetTarget("demo", "http://c-demo.team-a.svc.cluster.local", default_token_file("demo"))


@pytest.mark.parametrize("title", PARTS)
def test_every_part_is_shown_as_it_is_printed(title: str) -> None:
    shown = [block.text for language in ("sh", "text") for block in blocks(PAGE, language)]
    assert PARTS[title](TARGET) in shown
