from __future__ import annotations

import pytest

from connectors.objects.reasons import Reason, RefusedError
from proxy.route import require_allowed_method


@pytest.mark.parametrize("method", [b"TRACE", b"CONNECT"])
def test_t06_methods_that_reflect_or_tunnel(method: bytes) -> None:
    with pytest.raises(RefusedError) as refused:
        require_allowed_method(method)
    assert refused.value.refusal.reason is Reason.METHOD_NOT_ALLOWED
    assert refused.value.refusal.status == 405


@pytest.mark.parametrize("method", [b"GET", b"HEAD", b"POST", b"PUT", b"DELETE", b"OPTIONS", b"PATCH", b"PROPFIND"])
def test_all_else_passes(method: bytes) -> None:
    require_allowed_method(method)
