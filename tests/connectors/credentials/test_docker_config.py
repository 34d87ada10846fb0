from __future__ import annotations

import json
from base64 import b64encode
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.credentials.credential import CredentialError, Owned
from connectors.credentials.docker_config import MOST_LOGINS, DockerConfig, with_login
from connectors.expressions.template import Subject
from connectors.objects.reasons import ConditionReason
from connectors.objects.secret import DOCKER_CONFIG, Secret
from tests.builders import auth_type, connector, secret, secret_of

ADDRESS = "https://registry.example.com"


def b64(text: str) -> str:
    return b64encode(text.encode()).decode()


def config(raw: bytes, **others: bytes) -> Secret:
    return secret_of({".dockerconfigjson": raw, **others}, DOCKER_CONFIG)


def logins(*names: str) -> Secret:
    """A login for each of these registries; its user is called as the registry is."""
    auths = {name: {"auth": b64(f"{name.replace(':', ';')}:p")} for name in names}
    return config(json.dumps({"auths": auths}).encode())


def injected(found: Secret, address: str = ADDRESS) -> str:
    tool = connector(address=address)
    ((name, value),) = DockerConfig().credential(auth_type(), with_login(found, tool), Subject(tool)).headers
    assert name == b"Authorization"
    return value.reveal().decode()


def refused(found: Secret, address: str = ADDRESS) -> CredentialError:
    with pytest.raises(CredentialError) as caught:
        injected(found, address)
    assert "canary" not in caught.value.message
    return caught.value


@pytest.mark.parametrize(
    ("address", "names", "chosen"),
    [
        (ADDRESS, ["registry.example.com"], 0),
        (ADDRESS, ["https://registry.example.com"], 0),
        (ADDRESS, ["https://registry.example.com/v1/"], 0),
        (ADDRESS, ["registry.example.com/v2/"], 0),
        (ADDRESS, ["registry.example.com:443"], 0),
        (ADDRESS, ["Registry.Example.COM"], 0),
        (ADDRESS, ["other.example.com", "registry.example.com"], 1),
        (ADDRESS, ["*.example.com"], 0),
        (ADDRESS, ["*.example.com", "registry.example.com"], 1),
        (ADDRESS, ["registry.example.com", "*.example.com"], 0),
        (ADDRESS, ["registry.*.com"], 0),
        (ADDRESS + "/team", ["registry.example.com", "registry.example.com/team"], 1),
        (ADDRESS + "/team/a", ["registry.example.com/team", "registry.example.com/team/b"], 0),
        ("https://registry.example.com:5000", ["registry.example.com", "registry.example.com:5000"], 1),
        ("http://registry.example.com", ["https://registry.example.com"], 0),
        ("http://registry.example.com:5000", ["registry.example.com:5000"], 0),
        ("http://registry.example.com:5000", ["https://registry.example.com:5000"], 0),
        ("https://registry-1.docker.io", ["https://index.docker.io/v1/"], 0),
        ("https://index.docker.io", ["docker.io"], 0),
        ("https://[2001:db8::1]:5000", ["[2001:db8::1]:5000"], 0),
    ],
)
def test_the_login_that_fits_the_address(address: str, names: list[str], chosen: int) -> None:
    assert injected(logins(*names), address) == "Basic " + b64(f"{names[chosen].replace(':', ';')}:p")


@pytest.mark.parametrize(
    ("address", "name"),
    [
        (ADDRESS, "example.com"),
        (ADDRESS, "registry.example.com.evil.example"),
        (ADDRESS, "registry.example.com:5000"),
        (ADDRESS, "https://registry.example.com:80"),
        (ADDRESS, "registry.example.com/team"),
        (ADDRESS + "/teams", "registry.example.com/team"),
        (ADDRESS, "*.com"),
        (ADDRESS, "*"),
        (ADDRESS, "*.*.evil"),
        (ADDRESS, "https://index.docker.io/v1/"),
        ("https://docker.io.evil.example", "docker.io"),
        (ADDRESS, ""),
        (ADDRESS, "not a registry"),
    ],
)
def test_t40_the_login_of_another_registry_never_goes_there(address: str, name: str) -> None:
    error = refused(logins(name), address)
    assert error.reason is ConditionReason.SECRET_KEY_MISSING
    assert "no login for" in error.message


@pytest.mark.parametrize(
    ("entry", "login"),
    [
        ({"username": "u", "password": "p"}, "u:p"),
        ({"auth": b64("u:p:q"), "username": "other", "password": "other"}, "u:p:q"),
        ({"username": "u"}, "u:"),
        ({"auth": b64("u:p"), "email": "a@b", "more": {"a": [1]}}, "u:p"),
    ],
)
def test_how_a_login_is_written(entry: dict[str, object], login: str) -> None:
    raw = json.dumps({"auths": {"registry.example.com": entry}, "credsStore": "x"}).encode()
    assert injected(config(raw)) == "Basic " + b64(login)


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({}, "without user name and password"),
        ({"auth": "canary"}, "not base64"),
        ({"auth": b64("canary")}, "not base64 of USER:PASSWORD"),
        ({"auth": "ü"}, "not base64"),
        ({"auth": b64(":")}, "is empty"),
        ({"auth": b64("u:can\nary")}, "holds a line end"),
        ({"username": "u:canary", "password": "p"}, "holds a colon"),
        ({"identitytoken": "canary"}, "identity token"),
        ({"registrytoken": "canary"}, "identity token"),
    ],
)
def test_t40_a_login_that_is_none(entry: dict[str, object], said: str) -> None:
    error = refused(config(json.dumps({"auths": {"registry.example.com": entry}}).encode()))
    assert error.reason is ConditionReason.SECRET_KEY_INVALID
    assert said in error.message


@pytest.mark.parametrize(
    "raw",
    [b"", b"canary", b"[]", b'{"auths": []}', b'{"auths": {"a": "canary"}}', b'{"auths": {"a": {"auth": 1}}}', b"\xff",
     b'{"auths":' * 5000, b'{"x":' + b"[" * 100_000],
    ids=lambda raw: repr(raw[:20]),
)  # fmt: skip
def test_what_docker_does_not_write(raw: bytes) -> None:
    error = refused(config(raw))
    assert error.reason is ConditionReason.SECRET_KEY_INVALID
    assert "is not what docker writes" in error.message


def test_many_logins() -> None:
    assert "more than" in refused(logins(*(f"r{number}.example.com" for number in range(MOST_LOGINS + 1)))).message


def test_a_missing_key_is_named() -> None:
    error = refused(secret(kind=DOCKER_CONFIG, other=b"x"))
    assert error.reason is ConditionReason.SECRET_KEY_MISSING
    assert ".dockerconfigjson" in error.message


def test_t40_keys_of_other_types_do_not_stand_in_for_a_login() -> None:
    refused(config(b'{"auths": {}}', username=b"u", password=b"canary"))


def test_other_types_stay_as_they_are() -> None:
    assert with_login(given := secret(token=b"t"), connector()) is given


LOGINS = st.dictionaries(st.sampled_from(["auth", "username", "password"]), st.text())


@given(st.dictionaries(st.text(), LOGINS, max_size=4))
def test_any_names_and_logins_are_judged(auths: dict[str, dict[str, str]]) -> None:
    # Any other error would come out of it.
    with suppress(CredentialError):
        assert injected(config(json.dumps({"auths": auths}).encode())).startswith("Basic ")


def test_it_owns_authorization() -> None:
    assert DockerConfig().owned(auth_type()) == Owned(headers=frozenset({b"authorization"}))
