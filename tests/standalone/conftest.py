"""A system's store that is soon read."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import trustme

from tests.peers.trust import system_store_of


@pytest.fixture(scope="package", autouse=True)
def _system_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with system_store_of(trustme.CA(), tmp_path_factory.mktemp("store")):
        yield
