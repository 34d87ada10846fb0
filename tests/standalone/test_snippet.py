"""What the text says. What clients make of it is for tests/e2e/test_snippets.py, which runs it."""

from __future__ import annotations

import pytest
import yaml

from connectors.objects.conditions import (
    Condition,
    ConditionStatus,
    ConditionType,
    ConnectorStatus,
    HttpAddress,
    ProxyStatus,
)
from standalone.objects import ConnectorObject, connector_object
from standalone.snippet import PARTS, SnippetError, SnippetTarget, default_token_file, snippet, target_of
from tests.standalone.builders import repo

URL = "http://c-repo.default.localhost:8080"


def served(url: str | None, *conditions: Condition, name: str = "repo") -> ConnectorObject:
    proxy = ProxyStatus(http_address=HttpAddress(url=url)) if url is not None else None
    return connector_object(repo(name), ConnectorStatus(conditions=conditions, proxy=proxy))


def test_a_target() -> None:
    target = target_of(served(f"{URL}/"))
    assert target == SnippetTarget("repo", URL, "/var/run/secrets/connectors/repo/token")
    assert (target.authority, target.host) == ("c-repo.default.localhost:8080", "c-repo.default.localhost")
    assert target_of(served(URL), "/home/me/token").token_file == "/home/me/token"


@pytest.mark.parametrize("url", ["", "ftp://h", "http://h/a b", "http://h\nrm -rf", "http://u:p@h", "http://h/$(x)"])
def test_an_address_that_is_not_plain_is_never_printed(url: str) -> None:
    with pytest.raises(SnippetError, match=r"^the proxy address or the name of default/repo is malformed$"):
        target_of(served(url))


@pytest.mark.parametrize("name", ["a\nb", "", "a b", "-a"])
def test_a_name_that_is_not_plain_neither(name: str) -> None:
    with pytest.raises(SnippetError, match="malformed"):
        target_of(served(URL, name=name))


@pytest.mark.parametrize(
    ("conditions", "why"),
    [
        ((), "it has no status yet"),
        (
            (
                Condition(type=ConditionType.READY, status=ConditionStatus.FALSE, reason="X"),
                Condition(
                    type=ConditionType.PROXY_SERVICE_READY,
                    status=ConditionStatus.UNKNOWN,
                    reason="ProxyServicePending",
                    message="Service c-repo is being made",
                ),
            ),
            "ProxyServiceReady is Unknown, ProxyServicePending: Service c-repo is being made",
        ),
        (
            (Condition(type=ConditionType.PROXY_SERVICE_READY, status=ConditionStatus.TRUE, reason="NonProxy"),),
            "ProxyServiceReady is True, NonProxy",
        ),
        (
            (Condition(type=ConditionType.READY, status=ConditionStatus.FALSE, reason="ConnectorClassNotFound"),),
            "Ready is False, ConnectorClassNotFound",
        ),
    ],
)
def test_without_a_proxy_address_it_says_why(conditions: tuple[Condition, ...], why: str) -> None:
    with pytest.raises(SnippetError) as error:
        target_of(served(None, *conditions))
    assert str(error.value) == f"default/repo has no proxy address: {why}"


def test_all_parts_are_printed_behind_their_titles() -> None:
    text = snippet(target_of(served(URL)))
    assert [line.removeprefix("# ---- ") for line in text.splitlines() if line.startswith("# ---- ")] == list(PARTS)


def test_https_needs_no_word_for_plain_http() -> None:
    plain, safe = (snippet(SnippetTarget("repo", f"{scheme}://h", "/t")) for scheme in ("http", "https"))
    for word in ("PIP_TRUSTED_HOST", "--tls-verify=false", "insecure-registries"):
        assert word in plain
        assert word not in safe


def test_a_path_stays_with_the_url_and_keys_by_host_have_none() -> None:
    text = snippet(SnippetTarget("repo", f"{URL}/namespaces/default/connectors/repo", "/t"))
    assert f"credential.{URL}/namespaces/default/connectors/repo.helper" in text
    assert "\n//c-repo.default.localhost:8080/:_authToken=" in text
    assert "docker://c-repo.default.localhost:8080/namespaces/default/connectors/repo/REPOSITORY:TAG" in text


def test_the_pod_part_projects_a_token_for_this_address_where_the_others_look() -> None:
    target = target_of(served(URL))
    pod = yaml.safe_load(PARTS["Pod: the token's file"](target))["spec"]
    (volume,), (mount,) = pod["volumes"], pod["containers"][0]["volumeMounts"]
    (source,) = volume["projected"]["sources"]
    token = source["serviceAccountToken"]
    assert (token["audience"], token["expirationSeconds"]) == (URL, 1800)
    assert volume["name"] == mount["name"]
    assert f"{mount['mountPath']}/{token['path']}" == default_token_file("repo") == target.token_file


@pytest.mark.parametrize("url", ["http://-v/x", "http://a-/x", "http://.a", "ftp://a", "http://a b", "http://u:p@a"])
def test_an_address_that_could_be_an_option_or_worse_is_not_printed(url: str) -> None:
    with pytest.raises(SnippetError, match="malformed"):
        target_of(served(url))
