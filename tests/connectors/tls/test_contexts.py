from __future__ import annotations

import asyncio
import logging
import ssl
import threading
from pathlib import Path

import certifi
import pytest
import trustme

from connectors.objects.secret import KeyPair, SecretValue
from connectors.tls.certificates import Certificate, read_pem
from connectors.tls.contexts import MAX_CONTEXTS, STORE_VARIABLES, Contexts, build_context
from connectors.tls.loading import KeyPairError
from connectors.tls.pool import SYSTEM_TLS, ClientTls, TlsVersion, pool_of
from tests.peers.namesakes import Namesake
from tests.peers.trust import pem, pool, tls

ONE, OTHER = trustme.CA(), trustme.CA()


def fingerprints(context: ssl.SSLContext) -> set[bytes]:
    return set(context.get_ca_certs(binary_form=True))


def with_system_store(monkeypatch: pytest.MonkeyPatch, file: Path | str, folder: Path | str = "/nosuch") -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    monkeypatch.setenv("SSL_CERT_DIR", str(folder))


@pytest.fixture
def system(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> trustme.CA:
    """A system's store with one authority."""
    made = trustme.CA()
    made.cert_pem.write_to_path(str(tmp_path / "system.pem"))
    with_system_store(monkeypatch, tmp_path / "system.pem")
    return made


def der(*authorities: trustme.CA) -> set[bytes]:
    return {certificate.der for certificate in pool(*authorities).certificates}


@pytest.mark.parametrize("known", [(), (ONE,), (ONE, OTHER)], ids=["system", "one", "two"])
@pytest.mark.parametrize("minimum", list(TlsVersion))
def test_t22_every_context_verifies(known: tuple[trustme.CA, ...], minimum: TlsVersion) -> None:
    context = build_context(tls(*known), minimum)
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
    expected = {TlsVersion.TLS_1_2: ssl.TLSVersion.TLSv1_2, TlsVersion.TLS_1_3: ssl.TLSVersion.TLSv1_3}
    assert context.minimum_version is expected[minimum]


def test_custom_cas_come_on_top_of_the_systems(system: trustme.CA) -> None:
    assert fingerprints(build_context(SYSTEM_TLS)) == der(system)
    assert fingerprints(build_context(tls(ONE, OTHER))) == der(system, ONE, OTHER)


def test_without_a_store_certifi_stands_in(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    found = ssl.get_default_verify_paths()._replace(cafile=None, capath=str(tmp_path))  # type: ignore[arg-type]
    monkeypatch.setattr(ssl, "get_default_verify_paths", lambda: found)
    for name in STORE_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    expected = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    expected.load_verify_locations(cafile=certifi.where())
    assert fingerprints(build_context(SYSTEM_TLS)) >= fingerprints(expected)
    assert "certifi" in caplog.text


@pytest.mark.parametrize("folder", ["", "/nosuch"])
def test_t22_a_store_that_was_named_and_is_not_there_is_not_widened(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture, folder: str
) -> None:
    with_system_store(monkeypatch, tmp_path / "lost.pem", folder or tmp_path)
    assert fingerprints(build_context(SYSTEM_TLS)) == set()
    assert fingerprints(build_context(tls(ONE))) == der(ONE)
    assert "SSL_CERT_FILE and SSL_CERT_DIR name no store" in caplog.text


def test_t24_a_private_key_in_the_systems_store_is_no_authority(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    ONE.private_key_pem.write_to_path(str(tmp_path / "key.pem"))
    with_system_store(monkeypatch, tmp_path / "key.pem")
    assert fingerprints(build_context(SYSTEM_TLS)) == set()


def test_what_openssl_does_not_take_costs_no_other(system: trustme.CA, caplog: pytest.LogCaptureFixture) -> None:
    odd = Certificate(b"no certificate", b"\x00" * 32, 0.0)
    context = build_context(ClientTls(pool_of([odd, *pool(ONE).certificates])))
    assert fingerprints(context) == der(system, ONE)
    assert "left out" in caplog.text


def test_a_certificate_to_show_that_is_none() -> None:
    with pytest.raises(KeyPairError):
        build_context(ClientTls(certificate=KeyPair(b"junk", SecretValue(b"junk"))))


class Builder:
    """Counts what is built, and holds it back until `release`."""

    def __init__(self) -> None:
        self.built: list[ClientTls] = []
        self.release = threading.Event()
        self.release.set()
        self.threads: set[int] = set()
        self.failing: dict[ClientTls, Exception] = {}

    def __call__(self, tls: ClientTls, minimum: TlsVersion) -> ssl.SSLContext:
        self.threads.add(threading.get_ident())
        assert self.release.wait(10)
        self.built.append(tls)
        if error := self.failing.pop(tls, None):
            raise error
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


async def test_equal_pools_share_one_context_and_others_do_not() -> None:
    builder = Builder()
    contexts = Contexts(build=builder)
    one, again, other = [await contexts.context(tls(*known)) for known in ((ONE, OTHER), (OTHER, ONE), (OTHER,))]
    assert one is again
    assert one is not other
    assert len(builder.built) == 2


async def test_t13_a_certificate_to_show_is_nobody_elses() -> None:
    contexts = Contexts(build=Builder())
    pair, twin = KeyPair(b"a", SecretValue(b"b")), KeyPair(b"a", SecretValue(b"b"))
    made = [await contexts.context(ClientTls(pool(ONE), shown)) for shown in (pair, twin, None)]
    assert len({id(context) for context in made}) == 3


async def test_building_blocks_nobody_and_is_done_once_for_all_who_wait() -> None:
    builder = Builder()
    builder.release.clear()
    contexts = Contexts(build=builder)
    waiting = [asyncio.create_task(contexts.context(tls(ONE))) for _ in range(5)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    # The loop runs while the builder stands still.
    await asyncio.wait(waiting[:1])
    assert not any(task.done() for task in waiting[1:])
    builder.release.set()
    made = await asyncio.gather(*waiting[1:])
    assert len({id(context) for context in made}) == 1
    assert len(builder.built) == 1
    assert builder.threads.isdisjoint({threading.get_ident()})


@pytest.mark.parametrize(("error", "builds"), [(OSError("store"), 2), (KeyPairError("no"), 1)])
async def test_what_failed_is_tried_again_unless_it_failed_for_good(
    error: OSError, builds: int, caplog: pytest.LogCaptureFixture
) -> None:
    builder = Builder()
    builder.failing = {tls(ONE): error}
    contexts = Contexts(build=builder)
    with pytest.raises(OSError, match=str(error)):
        await contexts.context(tls(ONE))
    outcomes = await asyncio.gather(contexts.context(tls(ONE)), return_exceptions=True)
    assert isinstance(outcomes[0], ssl.SSLContext if builds == 2 else KeyPairError)
    assert len(builder.built) == builds
    assert caplog.records == []


async def test_the_longest_unused_one_goes_where_there_are_too_many() -> None:
    builder = Builder()
    contexts = Contexts(build=builder)
    pairs = [ClientTls(certificate=KeyPair(b"", SecretValue(b""))) for _ in range(MAX_CONTEXTS)]
    for pair in pairs:
        await contexts.context(pair)
    await contexts.context(pairs[0])
    await contexts.context(tls(ONE))
    await contexts.context(pairs[0])
    assert len(builder.built) == MAX_CONTEXTS + 1
    await contexts.context(pairs[1])
    assert builder.built[-1] is pairs[1]


async def test_what_is_not_in_use_any_more_goes_and_the_systems_own_stays() -> None:
    builder = Builder()
    contexts = Contexts(build=builder)
    for used in (SYSTEM_TLS, tls(ONE), tls(OTHER)):
        await contexts.context(used)
    contexts.keep_only({tls(ONE)})
    for used in (SYSTEM_TLS, tls(ONE), tls(OTHER)):
        await contexts.context(used)
    assert builder.built == [SYSTEM_TLS, tls(ONE), tls(OTHER), tls(OTHER)]


async def test_nobody_is_told_of_a_failure_that_nobody_waits_for(caplog: pytest.LogCaptureFixture) -> None:
    builder = Builder()
    builder.failing = {tls(ONE): KeyPairError("no")}
    builder.release.clear()
    contexts = Contexts(build=builder)
    asking = asyncio.create_task(contexts.context(tls(ONE)))
    await asyncio.sleep(0)
    asking.cancel()
    await asyncio.wait([asking])
    builder.release.set()
    with caplog.at_level(logging.DEBUG):
        assert await contexts.context(tls(OTHER))
    assert "never retrieved" not in caplog.text


def test_a_choice_among_namesakes_loads_one_of_each_name(system: trustme.CA) -> None:
    one, two = Namesake(), Namesake()
    alone = trustme.CA()
    several = pool_of(read_pem((one.pem + two.pem + pem(alone)).encode()).certificates)
    brought = ClientTls(several)
    assert len(brought.choices) == 2
    loaded = [fingerprints(build_context(choice)) for choice in (brought, *brought.choices)]
    assert [len(found) for found in loaded] == [4, 3, 3]
    assert loaded[1] | loaded[2] == loaded[0]
    assert all(der(system, alone) <= found for found in loaded)
    assert ClientTls(pool(alone)).choices == ()


async def test_a_choice_stays_as_long_as_its_pool_does() -> None:
    builder = Builder()
    contexts = Contexts(build=builder)
    brought = ClientTls(pool_of(read_pem((Namesake().pem + Namesake().pem).encode()).certificates))
    for used in (brought, *brought.choices):
        await contexts.context(used)
    contexts.keep_only({brought})
    await contexts.context(brought.choices[0])
    assert len(builder.built) == 3
    contexts.keep_only({tls(ONE)})
    await contexts.context(brought.choices[0])
    assert len(builder.built) == 4


def test_a_tool_cannot_choose_what_takes_long() -> None:
    names = [cipher["name"] for cipher in build_context(SYSTEM_TLS).get_ciphers()]
    assert names
    assert not [name for name in names if name.startswith("DHE-")]
