from __future__ import annotations

from base64 import b64decode
from typing import NamedTuple

import pytest

from connectors.credentials.docker_config import with_login
from connectors.credentials.reading import as_read
from connectors.credentials.registry import credential_of
from connectors.expressions.check import CheckError, compile_check
from connectors.expressions.template import Subject, compile_template
from connectors.http.response import Response
from connectors.objects.connector_class import ConnectorClass, HttpProbe, Probe, Resolver
from connectors.objects.secret import DOCKER_CONFIG, Secret
from connectors.rules.connector_class import validate_connector_class
from connectors.sources.directory import builtin_classes
from tests.builders import connector, secret, secret_of

CLASSES = {identity.name: entry for identity, entry in builtin_classes().items()}


def builtin(name: str) -> ConnectorClass:
    value = CLASSES[name].value
    assert isinstance(value, ConnectorClass)
    return value


def test_they_are_these() -> None:
    assert list(CLASSES) == [
        *("generic", "git", "github", "gitlab", "harbor", "jfrog", "k8s"),
        *("maven", "nexus", "npm", "oci", "pypi", "sonarqube"),
    ]


@pytest.mark.parametrize("name", CLASSES)
def test_each_is_valid_and_has_the_projects_proxy(name: str) -> None:
    assert CLASSES[name].violations == ()
    assert validate_connector_class(builtin(name)) == ()
    proxy = builtin(name).spec.proxy
    assert proxy is not None
    assert proxy.ref is not None
    assert (proxy.ref.kind, proxy.ref.namespace, proxy.ref.name) == (
        "Service",
        "connectors-system",
        "connectors-proxy-service",
    )
    assert all(auth_type.optional == (name != "k8s") for auth_type in builtin(name).auth_types)
    assert builtin(name).resolver is (Resolver.PATH if name in {"oci", "harbor"} else Resolver.HOST)
    assert {"cpaas.io/display-name", "cpaas.io/description"} <= set(builtin(name).metadata.annotations)


@pytest.mark.parametrize("name", CLASSES)
def test_where_any_answer_will_do_a_redirect_is_one(name: str) -> None:
    probe = builtin(name).spec.liveness_probe
    assert probe is not None
    assert probe.http is not None
    any_answer = probe.http.response is not None and probe.http.response.cel == "response.statusCode < 500"
    assert probe.http.disable_redirect is any_answer


BASIC = secret(kind="kubernetes.io/basic-auth", username=b"u", password=b"p")
BEARER = secret(kind="connectors.cpaas.io/bearer-token", token=b"t0k")
OPAQUE = secret(token=b"t0k")
PAT = secret(kind="connectors.cpaas.io/gitlab-pat-auth", token=b"t0k")
REGISTRY = secret(kind="cpaas.io/distribution-registry-token", username=b"u", password=b"p")

TOOL = connector()
DOCKER = with_login(
    secret_of({".dockerconfigjson": b'{"auths": {"tool.example.com": {"auth": "dTpw"}}}'}, DOCKER_CONFIG), TOOL
)


@pytest.mark.parametrize(
    ("name", "auth", "given", "headers"),
    [
        ("git", "basicAuth", BASIC, {b"Authorization": b"Basic u:p"}),
        ("git", "basic-auth", BASIC, {b"Authorization": b"Basic u:p"}),
        ("github", "patAuth", OPAQUE, {b"Authorization": b"Basic x-access-token:t0k"}),
        ("gitlab", "patAuth", PAT, {b"PRIVATE-TOKEN": b"t0k", b"Authorization": b"Basic oauth2:t0k"}),
        ("generic", "basicAuth", BASIC, {b"Authorization": b"Basic u:p"}),
        ("generic", "bearerAuth", BEARER, {b"Authorization": b"Bearer t0k"}),
        ("generic", "opaqueAuth", secret(authorization=b"ApiKey abc\n"), {b"Authorization": b"ApiKey abc"}),
        *((name, "basicAuth", BASIC, {b"Authorization": b"Basic u:p"}) for name in ("harbor", "nexus", "jfrog")),
        *((name, "basicAuth", BASIC, {b"Authorization": b"Basic u:p"}) for name in ("npm", "pypi", "maven")),
        ("oci", "tokenAuth", REGISTRY, {b"Authorization": b"Basic u:p"}),
        *((name, "dockerConfigAuth", DOCKER, {b"Authorization": b"Basic u:p"}) for name in ("oci", "harbor")),
        ("sonarqube", "tokenAuth", BEARER, {b"Authorization": b"Bearer t0k"}),
        ("k8s", "bearerTokenAuth", BEARER, {b"Authorization": b"Bearer t0k"}),
    ],
)
def test_what_each_type_injects(name: str, auth: str, given: Secret, headers: dict[bytes, bytes]) -> None:
    auth_type = builtin(name).auth_type(auth)
    assert auth_type is not None
    made = {field: value.reveal() for field, value in credential_of(auth_type, as_read(given)[0]).headers}
    assert {field: _readable(value) for field, value in made.items()} == headers


def _readable(value: bytes) -> bytes:
    scheme, _, rest = value.partition(b" ")
    return b"Basic " + b64decode(rest) if scheme == b"Basic" else value


def test_github_has_an_extension_for_its_api_that_may_be_left_out() -> None:
    (extension,) = builtin("github").spec.address_extensions
    assert (extension.name, extension.default) == ("api", "")


ROOT = "https://tool.example.com"
BELOW = "https://tool.example.com/some/where/"


class Check(NamedTuple):
    """What a class asks of a Connector about its credential; `path` without a Secret is `anonymous`."""

    name: str
    auth: str
    given: Secret
    anonymous: str
    path: str
    header: tuple[str, bytes]
    address: str = ROOT
    repository: str | None = None


U_P = ("Authorization", b"Basic u:p")
T0K = ("Authorization", b"Bearer t0k")
GITHUB = ("Authorization", b"Basic x-access-token:t0k")
REFS = "/org/repo.git/info/refs?service=git-upload-pack"
STATUS = "/service/rest/v1/status"
PING = "/api/system/ping"
CHECKS = (
    Check("git", "basicAuth", BASIC, "", "", U_P),
    Check("git", "basicAuth", BASIC, "", "", U_P, repository=""),
    Check("git", "basicAuth", BASIC, REFS, REFS, U_P, repository="org/repo.git"),
    Check("git", "basicAuth", BASIC, REFS, REFS, U_P, BELOW, repository="/org/repo.git/"),
    Check("git", "basic-auth", BASIC, "", "", U_P),
    Check("git", "basic-auth", BASIC, REFS, REFS, U_P, repository="org/repo.git"),
    Check("github", "patAuth", OPAQUE, "", "", GITHUB),
    Check("github", "patAuth", OPAQUE, REFS, REFS, GITHUB, repository="org/repo.git"),
    Check("gitlab", "patAuth", PAT, "", "/api/v4/user", ("PRIVATE-TOKEN", b"t0k")),
    Check("gitlab", "patAuth", PAT, "", "/some/where/api/v4/user", ("PRIVATE-TOKEN", b"t0k"), BELOW),
    Check("oci", "tokenAuth", REGISTRY, "", "/v2/", U_P),
    Check("oci", "tokenAuth", REGISTRY, "", "/v2/", U_P, BELOW, repository=""),
    Check("oci", "dockerConfigAuth", DOCKER, "", "/v2/", U_P),
    *(
        Check("oci", "tokenAuth", REGISTRY, path, path, U_P, repository=repository)
        for path in ("/v2/team/app/tags/list?n=1",)
        for repository in ("team/app", "/team/app/")
    ),
    Check("harbor", "basicAuth", BASIC, "", "/api/v2.0/users/current", U_P),
    Check("harbor", "dockerConfigAuth", DOCKER, "", "/api/v2.0/users/current", U_P),
    *(
        Check(name, "basicAuth", BASIC, path, path, U_P, address)
        for name in ("npm", "maven")
        for address, path in (
            (ROOT, "/"),
            (ROOT + "/", "/"),
            (ROOT + "/some/where", "/some/where/"),
            (BELOW, "/some/where/"),
        )
    ),
    *(
        Check("pypi", "basicAuth", BASIC, path, path, U_P, address)
        for address, path in ((ROOT, "/simple/"), (ROOT + "/some", "/some/simple/"), (BELOW, "/some/where/simple/"))
    ),
    Check("nexus", "basicAuth", BASIC, "", STATUS, U_P),
    Check("nexus", "basicAuth", BASIC, "", "/some/where" + STATUS, U_P, BELOW),
    Check("jfrog", "basicAuth", BASIC, "", "/artifactory" + PING, U_P),
    Check("jfrog", "basicAuth", BASIC, "", "/artifactory" + PING, U_P, ROOT + "/"),
    Check("jfrog", "basicAuth", BASIC, "", "/some/where" + PING, U_P, BELOW),
    Check("sonarqube", "tokenAuth", BEARER, "", "/api/authentication/validate", T0K),
    Check("sonarqube", "tokenAuth", BEARER, "", "/some/where/api/authentication/validate", T0K, BELOW),
    Check("k8s", "bearerTokenAuth", BEARER, "", "/api", T0K, ROOT + "/"),
    Check("k8s", "bearerTokenAuth", BEARER, "", "/some/where/api", T0K, BELOW),
)


def http(probe: Probe | None) -> HttpProbe:
    assert probe is not None
    assert probe.http is not None
    assert (probe.http.method, probe.http.host, probe.http.scheme) == ("GET", "", "")
    return probe.http


def auth_probe(name: str, auth: str) -> HttpProbe:
    found = builtin(name).auth_probe(auth)
    assert found is not None
    return http(found.probe)


def subject(check: Check, given: Secret | None) -> Subject:
    auth: dict[str, object] = {"name": check.auth}
    if check.repository is not None:
        auth["params"] = [{"name": "repository", "value": check.repository}]
    about = connector("tool", connectorClassName=check.name, address=check.address, auth=auth)
    return Subject(connector=about, connector_class=builtin(check.name), secret=given)


def rendered(source: str, about: Subject) -> bytes:
    return compile_template(source).render(about).value.reveal()


def test_every_authentication_probe_is_checked() -> None:
    every = {(name, probe.auth_name) for name in CLASSES for probe in builtin(name).spec.auth_probes}
    assert {(check.name, check.auth) for check in CHECKS} == every
    assert {name for name, _ in every} == CLASSES.keys() - {"generic"}


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: f"{check.name}-{check.auth}-{check.path}-{check.address}")
def test_what_each_authentication_probe_sends(check: Check) -> None:
    probe = auth_probe(check.name, check.auth)
    (header,) = probe.http_headers
    with_secret, anonymous = subject(check, check.given), subject(check, None)
    assert rendered(probe.path, with_secret) == check.path.encode()
    assert rendered(probe.path, anonymous) == check.anonymous.encode()
    assert (header.name, _readable(rendered(header.value, with_secret))) == check.header
    assert rendered(header.value, anonymous) == b""
    # Else it would go to another origin on a redirect.
    assert compile_template(header.value).render(with_secret).from_secret


@pytest.mark.parametrize("name", CLASSES)
def test_a_probe_sends_what_requests_carry(name: str) -> None:
    """Else AuthReady would be about something else than what the proxy does."""
    for check in CHECKS:
        if check.name == name:
            auth_type = builtin(name).auth_type(check.auth)
            assert auth_type is not None
            made = {field.decode(): value.reveal() for field, value in credential_of(auth_type, check.given).headers}
            assert check.header in {(field, _readable(value)) for field, value in made.items()}


FRONT = ("generic", "git", "github", "gitlab", "npm", "pypi", "maven")


@pytest.mark.parametrize(
    ("name", "address", "path"),
    [
        *((name, BELOW, "/") for name in FRONT),
        ("oci", BELOW, "/v2/"),
        ("harbor", BELOW, "/api/v2.0/ping"),
        ("nexus", ROOT, STATUS),
        ("nexus", BELOW, "/some/where" + STATUS),
        ("jfrog", ROOT, "/artifactory" + PING),
        ("jfrog", BELOW, "/some/where" + PING),
        ("sonarqube", ROOT, "/api/system/status"),
        ("sonarqube", BELOW, "/some/where/api/system/status"),
        ("k8s", ROOT, "/livez"),
        ("k8s", BELOW, "/some/where/livez"),
    ],
)
@pytest.mark.parametrize("given", [None, BASIC])
def test_what_each_liveness_probe_sends(name: str, address: str, path: str, given: Secret | None) -> None:
    probe = http(builtin(name).spec.liveness_probe)
    about = Subject(connector("tool", connectorClassName=name, address=address), builtin(name), given)
    assert rendered(probe.path, about) == path.encode()
    # Whether a tool is there does not depend on a credential.
    assert probe.http_headers == ()


ALIVE = ([200, 204, 401, 403, 404], [500, 502, 503])
UP, VALID = b'{"id":"1","version":"10.0","status":"%s"}', b'{"valid":%s}'
LESS = b'{"error":"insufficient_scope","error_description":"More is needed.","scope":"api read_user"}'
BLOCKED = b'{"message":"403 Forbidden - Your account has been blocked."}'
JSON = (("Content-Type", "application/json;charset=utf-8"),)


def statuses(held: list[int], fails: list[int]) -> list[tuple[Response, bool]]:
    return [(Response(status), status in held) for status in (*held, *fails)]


ANSWERS: dict[tuple[str, str], list[tuple[Response, bool]]] = {
    **{(name, ""): statuses(*ALIVE) for name in FRONT},
    ("oci", ""): statuses([200, 401], [403, 404, 500]),
    ("jfrog", ""): statuses([200, 401, 403], [404, 503]),
    ("k8s", ""): statuses([200, 401, 403], [404, 500]),
    ("sonarqube", ""): [
        (Response(200, JSON, UP % b"UP"), True),
        *((Response(200, JSON, UP % word), False) for word in (b"STARTING", b"DOWN", b"DB_MIGRATION_NEEDED")),
        (Response(503, JSON, UP % b"UP"), False),
    ],
    ("sonarqube", "tokenAuth"): [
        (Response(200, JSON, VALID % b"true"), True),
        (Response(200, JSON, VALID % b"false"), False),
        (Response(401, JSON, VALID % b"true"), False),
    ],
    ("gitlab", "patAuth"): [
        (Response(200, JSON, b'{"id":1}'), True),
        (Response(403, JSON, LESS), True),
        (Response(403, JSON, BLOCKED), False),
        (Response(401, JSON, b'{"message":"401 Unauthorized"}'), False),
        (Response(401, JSON, LESS), False),
        (Response(404), False),
    ],
    ("harbor", "basicAuth"): statuses([200, 412], [401, 403, 404, 500]),
    ("harbor", "dockerConfigAuth"): statuses([200, 412], [401, 403, 404, 500]),
}
"""By class and authentication type, empty for liveness."""


def test_every_expression_is_checked() -> None:
    alive = {(name, "") for name in CLASSES if http(builtin(name).spec.liveness_probe).response}
    auth = {(check.name, check.auth) for check in CHECKS if auth_probe(check.name, check.auth).response}
    assert ANSWERS.keys() == alive | auth
    assert all({expected for _, expected in answers} == {True, False} for answers in ANSWERS.values())


@pytest.mark.parametrize(("name", "auth"), ANSWERS)
def test_which_answers_count_as_success(name: str, auth: str) -> None:
    probe = auth_probe(name, auth) if auth else http(builtin(name).spec.liveness_probe)
    assert probe.response is not None
    check = compile_check(probe.response.cel)
    for answer, expected in ANSWERS[name, auth]:
        assert check.holds(answer) is expected, answer


@pytest.mark.parametrize("auth", ["", "tokenAuth"])
def test_a_page_in_place_of_json_is_never_success(auth: str) -> None:
    """A gateway's login page, for example, with which many answer 200."""
    probe = auth_probe("sonarqube", auth) if auth else http(builtin("sonarqube").spec.liveness_probe)
    assert probe.response is not None
    with pytest.raises(CheckError):
        compile_check(probe.response.cel).holds(
            Response(200, (("Content-Type", "text/html"),), b"<html>UP true</html>")
        )
