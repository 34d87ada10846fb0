"""Whom tests trust, and what they dial."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import trustme
from cryptography.hazmat.primitives import serialization

from connectors.dial.dial_settings import DialSettings
from connectors.dial.dialer import Dialer
from connectors.dial.guard import DialGuard
from connectors.dial.resolver import Lookup, NameResolver, look_up
from connectors.objects.secret import KeyPair, SecretValue
from connectors.tls.certificates import read_pem
from connectors.tls.pool import ClientTls, Pool, Trust, pool_of

LOOPBACK = DialGuard(loopback=True)
"""Tests' peers are on loopback."""


@contextmanager
def system_store_of(authority: trustme.CA, folder: Path) -> Iterator[None]:
    """This authority is all that the machine trusts; its certificate is written into `folder`.

    OpenSSL takes 20 ms to read a real store, which each of thousands of contexts would do.
    """
    file = folder / "store.pem"
    authority.cert_pem.write_to_path(str(file))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SSL_CERT_FILE", str(file))
        patch.setenv("SSL_CERT_DIR", str(folder / "none"))
        yield


def pem(*authorities: trustme.CA) -> str:
    """Their certificates, as a Secret or a file holds them."""
    return "".join(authority.cert_pem.bytes().decode() for authority in authorities)


def pool(*authorities: trustme.CA) -> Pool:
    """The pool of these; the system's own for none."""
    return pool_of(read_pem(pem(*authorities).encode()).certificates)


def trust(*authorities: trustme.CA) -> Trust:
    """The trust of a Connector to which these are known."""
    return Trust(pool(*authorities), pool(*authorities))


def tls(*authorities: trustme.CA) -> ClientTls:
    """What is brought to a handshake where these are known."""
    return ClientTls(pool(*authorities))


def key_pair(leaf: trustme.LeafCert) -> KeyPair:
    """What a listener serves with."""
    chain = b"".join(blob.bytes() for blob in leaf.cert_chain_pems)
    return KeyPair(chain, SecretValue(leaf.private_key_pem.bytes()))


def encrypted(key: SecretValue) -> SecretValue:
    """A private key that asks for a passphrase."""
    loaded = serialization.load_pem_private_key(key.reveal(), None)
    secured = serialization.BestAvailableEncryption(b"canary-passphrase")
    pem, pkcs8 = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    return SecretValue(loaded.private_bytes(pem, pkcs8, secured))


def dialer(guard: DialGuard = LOOPBACK, lookup: Lookup = look_up) -> Dialer:
    """A dialer that asks `lookup` each time."""
    return Dialer(DialSettings(guard, dns_cache=0.0), NameResolver(lookup))
