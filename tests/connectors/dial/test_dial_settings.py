from __future__ import annotations

from argparse import Namespace

import pytest

from connectors.dial.dial_settings import DialSettings, dialing_on_this_machine, parse_dns_cache
from connectors.process.declaration import SettingError, settings_of
from connectors.process.settings import read_settings
from connectors.tls.pool import TlsVersion

SETTINGS = list(settings_of(DialSettings()))


def read(flags: dict[str, str] | None = None, *, loopback: bool = False, **variables: str) -> DialSettings:
    arguments = Namespace(**{setting.flag: (flags or {}).get(setting.flag) for setting in SETTINGS})
    environment = {f"CONNECTORS_{name}": value for name, value in variables.items()}
    return read_settings(dialing_on_this_machine() if loopback else DialSettings(), arguments, environment)


@pytest.mark.parametrize("loopback", [True, False])
def test_defaults(loopback: bool) -> None:
    found = read(loopback=loopback)
    assert found == DialSettings(guard=found.guard)
    assert found.guard.denied("127.0.0.1") == (None if loopback else "loopback")
    assert found.guard.denied("169.254.169.254") == "link-local"
    assert (found.dns_cache, found.minimum) == (5.0, TlsVersion.TLS_1_2)


def test_what_may_be_dialled_is_set_by_flag_or_variable() -> None:
    guard = read({"--allow-upstream": "127.0.0.0/8"}, ALLOW_UPSTREAM="::1", DENY_UPSTREAM="127.0.0.1").guard
    assert [guard.denied(ip) for ip in ("127.0.0.2", "127.0.0.1", "::1")] == [None, "by --deny-upstream", "loopback"]


@pytest.mark.parametrize(("text", "seconds"), [("0", 0.0), ("1m", 60.0), ("250ms", 0.25)])
def test_how_long_an_answer_counts(text: str, seconds: float) -> None:
    assert read({"--dns-cache": text}).dns_cache == seconds


@pytest.mark.parametrize("text", ["61s", "1h", "-1s", "soon"])
def test_no_answer_counts_for_long(text: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        parse_dns_cache(text)


@pytest.mark.parametrize("flag", ["--upstream-tls-min=1.1", "--upstream-tls-min=tls1.2", "--allow-upstream=everything"])
def test_what_is_no_setting(flag: str) -> None:
    name, _, text = flag.partition("=")
    with pytest.raises(SettingError, match=name):
        read({name: text})
