from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from dataclasses import replace

import pytest
import trustme

from connectors.objects.secret import KeyPair, SecretValue
from connectors.tls.certificates import read_pem
from connectors.tls.loading import KeyPairError
from connectors.tls.pool import TlsVersion
from connectors.tls.serving import Serving
from tests.peers.handshakes import client_context, shown
from tests.peers.trust import encrypted, key_pair


@pytest.fixture
def ends() -> list[float]:
    """When the certificates end that were served."""
    return []


@pytest.fixture
def serving(ends: list[float]) -> Serving:
    return Serving(ends.append)


async def listener(serving: Serving) -> asyncio.Server:
    """One that says nothing."""

    async def silent(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    return await asyncio.start_server(silent, "127.0.0.1", 0, ssl=serving.context)


def port_of(server: asyncio.Server) -> int:
    port: int = server.sockets[0].getsockname()[1]
    return port


@pytest.fixture
async def port(serving: Serving) -> AsyncIterator[int]:
    async with await listener(serving) as server:
        yield port_of(server)


@pytest.fixture(scope="module")
def leaves(authority: trustme.CA) -> list[trustme.LeafCert]:
    """Of each kind of key, and one that comes back to the first kind."""
    kinds = (trustme.KeyType.RSA, trustme.KeyType.ECDSA, trustme.KeyType.RSA)
    return [authority.issue_cert("127.0.0.1", key_type=kind) for kind in kinds]


def leaf_of(pair: KeyPair) -> bytes:
    return read_pem(pair.chain).certificates[0].der


async def shown_leaf(port: int, authority: trustme.CA, version: ssl.TLSVersion | None = None) -> bytes:
    return ssl.PEM_cert_to_DER_cert(await shown(port, authority.cert_pem.bytes(), version))


async def test_without_a_certificate_no_handshake_ends_well(serving: Serving, port: int) -> None:
    assert not serving.ready
    with pytest.raises((ssl.SSLError, ConnectionError)):
        await shown(port)


async def test_a_new_certificate_is_served_without_a_restart_whatever_its_key(
    serving: Serving, port: int, ends: list[float], leaves: list[trustme.LeafCert], authority: trustme.CA
) -> None:
    for count, leaf in enumerate(leaves, start=1):
        pair = key_pair(leaf)
        assert serving.serve(pair)
        assert serving.ready
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            assert await shown_leaf(port, authority, version) == leaf_of(pair)
        assert len(ends) == count
        assert ends[-1] == read_pem(pair.chain).certificates[0].ends
        assert not serving.serve(pair), "it is served already"


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda one, other: replace(other, key=one.key), "its key does not fit"),
        (lambda one, _: replace(one, chain=b"junk"), "the certificate cannot be read"),
        (lambda _, other: replace(other, key=SecretValue(b"")), "cannot be read"),
        (lambda _, other: replace(other, key=encrypted(other.key)), "the key is encrypted"),
    ],
    ids=["another's key", "junk", "no key", "encrypted"],
)
async def test_what_cannot_be_served_leaves_the_one_before(
    change: Callable[[KeyPair, KeyPair], KeyPair],
    why: str,
    serving: Serving,
    port: int,
    leaves: list[trustme.LeafCert],
    authority: trustme.CA,
) -> None:
    one, other = key_pair(leaves[0]), key_pair(leaves[2])
    serving.serve(one)
    with pytest.raises(KeyPairError, match=why) as caught:
        serving.serve(change(one, other))
    assert "PRIVATE" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert await shown_leaf(port, authority) == leaf_of(one)


async def test_old_versions_of_tls_are_refused(serving: Serving, port: int, leaves: list[trustme.LeafCert]) -> None:
    serving.serve(key_pair(leaves[0]))
    await shown(port, version=ssl.TLSVersion.TLSv1_2)
    with pytest.warns(DeprecationWarning, match="TLSv1_1"), pytest.raises((ssl.SSLError, ConnectionError)):
        await shown(port, version=ssl.TLSVersion.TLSv1_1)


async def test_the_lowest_version_can_be_raised(leaves: list[trustme.LeafCert]) -> None:
    serving = Serving(lambda _: None, TlsVersion.TLS_1_3)
    serving.serve(key_pair(leaves[0]))
    async with await listener(serving) as server:
        await shown(port_of(server), version=ssl.TLSVersion.TLSv1_3)
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await shown(port_of(server), version=ssl.TLSVersion.TLSv1_2)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_no_ticket_is_given_and_http_1_1_is_spoken(
    version: ssl.TLSVersion, serving: Serving, port: int, leaves: list[trustme.LeafCert], authority: trustme.CA
) -> None:
    """Who resumes a session is shown no certificate, and would never see a new one. Go's clients do it by tickets."""
    serving.serve(key_pair(leaves[0]))
    context = client_context(authority.cert_pem.bytes())
    context.minimum_version = context.maximum_version = version
    context.set_alpn_protocols(["h2", "http/1.1"])
    assert await asyncio.to_thread(_agreed, context, port) == (False, "http/1.1")


def _agreed(context: ssl.SSLContext, port: int) -> tuple[bool, str | None]:
    with (
        socket.create_connection(("127.0.0.1", port), 5) as plain,
        context.wrap_socket(plain, server_hostname="127.0.0.1") as tls,
    ):
        tls.recv(1)  # in TLS 1.3 tickets come after the handshake
        return tls.session is not None and tls.session.has_ticket, tls.selected_alpn_protocol()


async def test_a_wrong_key_beside_the_chain_that_is_served_is_found_out(
    serving: Serving, leaves: list[trustme.LeafCert]
) -> None:
    one, other = key_pair(leaves[0]), key_pair(leaves[2])
    serving.serve(one)
    with pytest.raises(KeyPairError, match="another certificate's"):
        serving.serve(replace(one, key=other.key))
    assert not serving.serve(one)


async def test_no_group_is_spoken_that_takes_long(
    serving: Serving, port: int, leaves: list[trustme.LeafCert], authority: trustme.CA
) -> None:
    """Python names no list of groups: P-256 alone, which everybody speaks, keeps those over finite fields out."""
    serving.serve(key_pair(leaves[0]))
    for curve, well in (("prime256v1", True), ("secp384r1", False)):
        context = client_context(authority.cert_pem.bytes())
        context.set_ecdh_curve(curve)
        opening = asyncio.open_connection("127.0.0.1", port, ssl=context)
        if well:
            _, writer = await opening
            writer.close()
        else:
            with pytest.raises((ssl.SSLError, ConnectionError)):
                await opening


def test_what_a_connection_gets_now_has_no_callback(serving: Serving, leaves: list[trustme.LeafCert]) -> None:
    """Python decodes the name that a client asks for before it calls one, and prints a traceback where it is odd."""
    assert serving.now is serving.context
    serving.serve(key_pair(leaves[0]))
    assert serving.now is not serving.context
    assert serving.now.sni_callback is None
