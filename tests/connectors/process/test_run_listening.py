from __future__ import annotations

import socket

import pytest

from connectors.process.parsers import HostPort
from connectors.process.run import cannot_listen


@pytest.mark.parametrize(
    ("error", "cause"),
    [(OSError(98, "x"), "Address already in use"), (socket.gaierror(-2, "Name or service not known"), "not known")],
)
def test_the_sentence_for_a_port(error: OSError, cause: str) -> None:
    sentence = cannot_listen(HostPort("h", 1), "--listen", error)
    assert sentence.startswith("cannot listen on h:1: ")
    assert cause in sentence
    assert sentence.endswith("choose another address with --listen")
