"""Every manifest that the documentation shows, and every one of the examples, is one that would be served."""

from __future__ import annotations

from pathlib import Path

import pytest

from connectors.inventory import build
from connectors.objects.feature_flags import CONFIG_MAP_NAME
from connectors.process.clock import timestamp
from connectors.sources.directory import DirectorySource
from connectors.sources.manifests import CONFIG_MAP, CONNECTOR_CLASS
from connectors.sources.place import Identity
from standalone.findings import findings
from tests.docs.pages import ROOT, Block, blocks, pages

BLOCKS = [block for page in pages() for block in blocks(page, "yaml")]


def wrong(path: Path) -> list[str]:
    """What `connectors validate` would print, and its warnings."""
    loaded = DirectorySource([path], timestamp).load()
    others = [Identity(CONNECTOR_CLASS, "", item.metadata.name) for item in loaded.objects.classes]
    others.append(Identity(CONFIG_MAP, "", CONFIG_MAP_NAME))
    assert loaded.objects.connectors or loaded.objects.secrets or any(loaded.place(identity) for identity in others)
    return [str(found) for found in findings(loaded, build(loaded.objects), secrets_elsewhere=True)]


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: f"{block.page}-{BLOCKS.index(block)}")
def test_blocks(block: Block, tmp_path: Path) -> None:
    (tmp_path / "block.yaml").write_text(block.text, encoding="utf-8")
    assert not wrong(tmp_path)


def test_there_are_blocks() -> None:
    assert {block.page for block in BLOCKS} >= {"README.md", "docs/classes.md", "docs/operators.md"}


@pytest.mark.parametrize("folder", sorted({path.parent for path in (ROOT / "examples").rglob("*.yaml")}), ids=str)
def test_examples(folder: Path) -> None:
    assert not wrong(folder)


def test_a_broken_manifest_is_seen(tmp_path: Path) -> None:
    text = BLOCKS[0].text.replace("address:", "adress:", 1)
    (tmp_path / "block.yaml").write_text(text, encoding="utf-8")
    assert wrong(tmp_path)
