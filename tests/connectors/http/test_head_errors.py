from __future__ import annotations

from connectors.http.message import MessageError
from connectors.objects.reasons import Reason


def test_the_senders_fault_unless_said_otherwise() -> None:
    assert MessageError("sentence").refusal.reason is Reason.REQUEST_MALFORMED
    assert str(MessageError("sentence", Reason.URI_TOO_LONG)) == "sentence"
