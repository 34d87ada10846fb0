from __future__ import annotations

import pytest
from yarl import URL

from connectors.kube.resources import CONNECTOR_CLASSES, CONNECTORS, SECRETS, Resource


@pytest.mark.parametrize(
    ("resource", "arguments", "path"),
    [
        (SECRETS, (), "/api/v1/secrets"),
        (SECRETS, ("team",), "/api/v1/namespaces/team/secrets"),
        (SECRETS, ("team", "a"), "/api/v1/namespaces/team/secrets/a"),
        (CONNECTORS, ("team", "a", "status"), f"/apis/{CONNECTORS.api_version}/namespaces/team/connectors/a/status"),
        (CONNECTOR_CLASSES, ("", "git"), f"/apis/{CONNECTORS.api_version}/connectorclasses/git"),
        (SECRETS, ("a%2Fb", "..c?d#e f"), "/api/v1/namespaces/a%252Fb/secrets/..c%3Fd%23e%20f"),
        (CONNECTOR_CLASSES, ("", "a.b:c"), f"/apis/{CONNECTORS.api_version}/connectorclasses/a.b%3Ac"),
    ],
)
def test_paths(resource: Resource, arguments: tuple[str, ...], path: str) -> None:
    assert resource.path(*arguments) == path
    # What the HTTP client makes of it is what was meant.
    assert URL(f"http://api.test{path}").raw_path.count("/") == path.count("/")


@pytest.mark.parametrize("text", [".", "..", "a/b", "../x", "/", "a\r\nb", "a\x00", "\x7f", "\x85", "\udc80"])
@pytest.mark.parametrize("place", [0, 1, 2])
def test_what_is_no_segment_makes_no_path(text: str, place: int) -> None:
    parts = ["team", "a", "status"]
    parts[place] = text
    with pytest.raises(ValueError, match=r"^a name that is"):
        SECRETS.path(*parts)


@pytest.mark.parametrize(
    ("resource", "arguments"),
    [(SECRETS, ("", "a")), (SECRETS, ("team", "", "status")), (CONNECTOR_CLASSES, ("", "", "status"))],
)
def test_a_path_with_a_hole_would_be_that_of_something_else(resource: Resource, arguments: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="lacks a part"):
        resource.path(*arguments)


def test_an_object_has_a_name() -> None:
    assert SECRETS.object_path("team", "a", "status") == "/api/v1/namespaces/team/secrets/a/status"
    with pytest.raises(ValueError, match="Secret without a name"):
        SECRETS.object_path("team", "")
