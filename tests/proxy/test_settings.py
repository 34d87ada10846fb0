from __future__ import annotations

from proxy.settings import ListenerTls, ProxySettings


def test_the_scheme_by_which_clients_reach_it() -> None:
    assert ProxySettings().scheme == "http"
    assert ProxySettings(tls=ListenerTls("/c", "/k")).scheme == "https"
