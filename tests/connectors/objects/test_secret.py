from __future__ import annotations

from tests.builders import secret


def test_the_key_names_it() -> None:
    assert secret("login", namespace="team").key == ("team", "login")


def test_t14_the_repr_shows_keys_and_no_values() -> None:
    shown = repr(secret(password=b"canary"))
    assert "password" in shown
    assert "canary" not in shown
