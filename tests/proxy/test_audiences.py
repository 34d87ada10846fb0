from __future__ import annotations

from connectors.objects.connector import ConnectorKey
from proxy.audiences import audiences_of

KEY = ConnectorKey("team", "git")
HOST = "http://c-git.team.svc.example.org"
PATH = "/namespaces/team/connectors/git"


def of(*uris: str) -> frozenset[str]:
    return audiences_of(KEY, frozenset(uris), "example.org")


def test_both_forms_of_the_proxy_url() -> None:
    assert of() == {HOST, HOST + PATH}


def test_a_path_of_a_class_is_part_of_it() -> None:
    assert of("/prefix/") == {HOST, HOST + PATH, HOST + "/prefix", HOST + "/prefix" + PATH}


def test_t08_an_address_that_connectors_share_is_no_audience_of_one() -> None:
    assert of("https://registry.example.com/") == {HOST, HOST + PATH, "https://registry.example.com" + PATH}


def test_t08_no_audience_fits_two_connectors() -> None:
    others = [ConnectorKey("team", "git2"), ConnectorKey("team2", "git"), ConnectorKey("git", "team")]
    for other in others:
        assert not of("/p", "https://r") & audiences_of(other, frozenset({"/p", "https://r"}), "example.org")
