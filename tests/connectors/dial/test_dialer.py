from __future__ import annotations

import ssl

import pytest
import trustme

from connectors.dial.dial_settings import DialSettings
from connectors.dial.dialer import Dialer
from connectors.dial.failure import DeniedError, OwnAddressError
from connectors.dial.guard import DialGuard, parse_networks
from connectors.dial.resolver import NameResolver
from connectors.objects.addresses import parse_address
from connectors.tls.pool import TlsVersion
from tests.connectors.dial.sending import Answers
from tests.peers.trust import tls

NAME = parse_address("http://tool.example:8080")


async def test_t09_candidates_are_what_the_settings_let_through() -> None:
    guard = DialGuard(allow=parse_networks("127.0.0.1"), deny=parse_networks("10.0.0.0/8"))
    names = Answers(["10.0.0.1", "127.0.0.1", "127.0.0.2", "192.0.2.1"], ["10.0.0.1"])
    dialer = Dialer(DialSettings(guard), NameResolver(names))
    assert await dialer.candidates(NAME) == ["127.0.0.1", "192.0.2.1"]
    with pytest.raises(DeniedError, match=r"^by --deny-upstream$"):
        await dialer.candidates(NAME)


async def test_t09_a_remembered_answer_is_checked_like_any_other() -> None:
    names = Answers(["169.254.169.254"])
    dialer = Dialer(DialSettings(), NameResolver(names, cache=60))
    for _ in range(2):
        with pytest.raises(DeniedError):
            await dialer.candidates(NAME)
    assert names.asked == ["tool.example"]


async def test_after_a_failure_the_name_is_looked_up_again_and_no_other() -> None:
    names = Answers(["192.0.2.1"], ["192.0.2.2"], ["192.0.2.3"])
    dialer = Dialer(DialSettings(), NameResolver(names, cache=60))
    other = parse_address("http://tool.example:8081")
    assert (await dialer.candidates(NAME), await dialer.candidates(other)) == (["192.0.2.1"], ["192.0.2.2"])
    dialer.failed(NAME)
    dialer.failed(parse_address("http://never.example"))
    assert (await dialer.candidates(NAME), await dialer.candidates(other)) == (["192.0.2.3"], ["192.0.2.2"])


async def test_t22_contexts_verify_and_speak_no_less_than_the_settings_say() -> None:
    dialer = Dialer(DialSettings(minimum=TlsVersion.TLS_1_3))
    brought = tls(trustme.CA())
    context = await dialer.contexts.context(brought)
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert context.minimum_version is ssl.TLSVersion.TLSv1_3
    assert await dialer.contexts.context(brought) is context
    assert await dialer.contexts.context(tls(trustme.CA())) is not context


async def test_t35_the_installations_own_services_and_addresses_are_not_dialled() -> None:
    dialer = Dialer(DialSettings(), NameResolver(lambda host, port: ["10.0.0.1"]), {"proxy.system.svc"})
    with pytest.raises(OwnAddressError):
        await dialer.candidates(parse_address("http://proxy.system.svc.:8080"))
    other = parse_address("http://tool.example:8081")
    assert await dialer.candidates(other) == ["10.0.0.1"]
    assert dialer.keep_off(frozenset({("10.0.0.1", 8081)}))
    assert not dialer.keep_off(frozenset({("10.0.0.1", 8081)}))
    with pytest.raises(OwnAddressError):
        await dialer.candidates(other)
    assert dialer.is_own("10.0.0.1", 8081)
    assert not dialer.is_own("10.0.0.1", 8082)
