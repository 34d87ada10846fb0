"""The mark that a Connector leaves on a request whose target may lead back here (RFC 8586, CDN-Loop). Pure."""

from __future__ import annotations

import re
from collections.abc import Collection
from functools import lru_cache
from hashlib import blake2b

from connectors.dial.guard import is_public
from connectors.objects.addresses import Address, AddressError, Origin, parse_address
from connectors.objects.connector import ConnectorKey
from connectors.process.declaration import Parser, Setting

CDN_LOOP = "CDN-Loop"
_NAME = b"connectors-"
# Anywhere in a value: what a client sends need not follow the grammar, and what lies between may join lines.
MARK = re.compile(rb"(?<![0-9A-Za-z_-])connectors-[0-9a-f]{32}(?![0-9A-Za-z_-])")


def parse_origins(text: str) -> frozenset[Origin]:
    """`URL,URL`: the origins of http and https URLs; none for the empty text.

    Raises:
        ValueError: one of them is not such a URL.
    """
    try:
        return frozenset(parse_address(part.strip()).origin for part in text.split(",")) if text else frozenset()
    except AddressError as error:
        raise ValueError(f"a URL {error}") from None


EXTERNAL_URL = Setting(
    "--external-url", "", Parser(parse_origins, "URL,..."),
    "where this installation is reached from elsewhere: requests that lead there are marked, so that loops end",
    "https://connectors.example,https://203.0.113.7",
)  # fmt: skip


class Marks:
    """The marks of one installation's Connectors, and which targets get them."""

    def __init__(self, identity: str, published: Collection[Origin] = ()) -> None:
        """`identity`: what all processes of the installation have in common, and no other installation has.

        `published`: where the installation is reached from elsewhere, which may be public addresses.
        """
        self._published = published
        self.identify(identity)

    def identify(self, identity: str) -> None:
        """Go on under another identity: a cluster's is known once its API server has answered."""
        self._key = blake2b(identity.encode()).digest()

    def of(self, connector: ConnectorKey) -> bytes:
        """The pseudonym of a Connector (RFC 8586 section 2: a token).

        A keyed hash: tools and what lies between must not learn the names of namespaces and Connectors.
        """
        return _NAME + blake2b(str(connector).encode(), digest_size=16, key=self._key).hexdigest().encode()

    def may_lead_back(self, address: Address) -> bool:
        """Whether a request to this address is to carry the mark."""
        return not _leads_away(address.server_name) or address.origin in self._published


# An address is judged once; a name can resolve to anything, and to something else tomorrow.
@lru_cache(maxsize=4096)
def _leads_away(host: str) -> bool:
    return is_public(host)
