"""A tool that repeats the request's query in an address: the credential that was put there is taken out again.

A slash is added behind a directory, http becomes https, a login remembers where to go back to: all of these
answer with the query that the tool saw, which is the caller's and the injected parameter (threat 6).
"""

from __future__ import annotations

import re

from connectors.credentials.credential import is_shown, without_query
from connectors.plan import Query

_WHOLE = re.compile(rb"\A()(.*)\Z", re.DOTALL)
_ADDRESSES = {
    b"location": _WHOLE,
    b"content-location": _WHOLE,
    b"link": re.compile(rb"(<)([^<>]*)(?=>)"),
    b"refresh": re.compile(rb"(url\s*=\s*['\"]?)([^'\"\s]*)", re.IGNORECASE),
}
"""Fields that hold addresses; group 2 is the address."""
ADDRESS_FIELDS = frozenset(_ADDRESSES)


def without_credential(name: bytes, value: bytes, query: Query | None) -> bytes | None:
    """The field, `name` folded, without query parameters that `query` owns; of any origin, relative ones too.

    None, so that the field is left out, where the credential still stands in it: inside of another parameter, in the
    path or in the fragment.
    """
    addresses = _ADDRESSES.get(name)
    if addresses is None or query is None or not query.injected:
        return value
    left = addresses.sub(lambda found: found[1] + _without_parameters(found[2], query.owned), value)
    return None if is_shown(left, query.injected) else left


def _without_parameters(address: bytes, owned: frozenset[bytes]) -> bytes:
    reference, mark, fragment = address.partition(b"#")
    return without_query(reference, owned) + mark + fragment
