"""Each built-in class with odd values in its Secret: traffic and probe send the same, and status says what is wrong."""

from __future__ import annotations

from base64 import b64decode
from typing import NamedTuple

import pytest

from connectors.judgement import judgement_of
from connectors.objects.connector_class import ConnectorClass
from connectors.objects.names import HostForm
from connectors.objects.reasons import ConditionReason, Reason
from connectors.objects.secret import BASIC_AUTH, BEARER_TOKEN, DOCKER_CONFIG, OPAQUE
from connectors.plan import Plan, compile_plan
from connectors.rules.connector_class import judge_class
from connectors.rules.examination import Examined, Inputs, examine
from connectors.sources.directory import builtin_classes
from controller.probes.asks import asks_of
from controller.probes.request import Ask
from tests.builders import connector, secret_of

CLASSES = {name.name: entry.value for name, entry in builtin_classes().items()}
PAT, REGISTRY = "connectors.cpaas.io/gitlab-pat-auth", "cpaas.io/distribution-registry-token"


class Use(NamedTuple):
    """A class, and a Secret for it: `key` gets the odd value, `others` are as they should be."""

    name: str
    auth: str
    kind: str
    key: str
    others: dict[str, bytes] = {}  # noqa: RUF012 - read only
    params: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.name}-{self.key}"

    def examine(self, value: bytes) -> Examined:
        built_in = CLASSES[self.name]
        assert isinstance(built_in, ConnectorClass)
        auth = {"name": self.auth, "secretRef": {"name": "login"}}
        params = [{"name": name, "value": "org/repo.git"} for name in self.params]
        given = secret_of({**self.others, self.key: value}, self.kind)
        tool = connector(auth={**auth, "params": params}, connectorClassName=self.name)
        return examine(Inputs(tool, judge_class(built_in), given))


BASIC = [
    Use(name, "basicAuth", BASIC_AUTH, key, {other: b"other"}, ("repository",) if name == "git" else ())
    for name in ("git", "harbor", "jfrog", "nexus", "generic", "npm", "pypi", "maven")
    for key, other in (("username", "password"), ("password", "username"))
]
REST = [
    Use("github", "patAuth", OPAQUE, "token", params=("repository",)),
    Use("gitlab", "patAuth", PAT, "token"),
    Use("sonarqube", "tokenAuth", BEARER_TOKEN, "token"),
    Use("k8s", "bearerTokenAuth", BEARER_TOKEN, "token"),
    Use("generic", "bearerAuth", BEARER_TOKEN, "token"),
    Use("generic", "opaqueAuth", OPAQUE, "authorization"),
    Use("oci", "tokenAuth", REGISTRY, "username", {"password": b"other"}),
    Use("oci", "tokenAuth", REGISTRY, "password", {"username": b"other"}),
]
DOCKER = [Use(name, "dockerConfigAuth", DOCKER_CONFIG, ".dockerconfigjson") for name in ("oci", "harbor")]
USES = [pytest.param(use, id=str(use)) for use in (*BASIC, *REST)]


def sent(plan: Plan) -> dict[str, bytes]:
    lines = plan.targets[""].injected.reveal().decode("latin-1").split("\r\n")[:-1]
    return {name: value.encode("latin-1") for name, _, value in (line.partition(": ") for line in lines)}


def compiled(examined: Examined) -> Plan:
    return compile_plan(examined, HostForm())


def readable(value: bytes) -> bytes:
    scheme, _, rest = value.partition(b" ")
    return b64decode(rest) if scheme == b"Basic" else value


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n"], ids=["none", "LF", "CRLF"])
@pytest.mark.parametrize("value", [b"t0k", "jürgen".encode()], ids=["plain", "non-ASCII"])
def test_t40_traffic_and_probe_send_the_value_without_its_line_end(use: Use, end: bytes, value: bytes) -> None:
    examined = use.examine(value + end)
    assert (examined.refusal, examined.secret_problem) == (None, None)
    headers = sent(compiled(examined))
    assert headers
    assert all(value in readable(line) and b"\n" not in readable(line) for line in headers.values())
    assert bool(examined.secret_note) is bool(end)
    assert end == b"" or f"key {use.key} " in examined.secret_note
    ask = asks_of(judgement_of(examined), None).auth
    if isinstance(ask, Ask):
        probed = {field.name: field.value.reveal() for field in ask.request.headers if field.from_secret}
        assert probed
        assert probed.items() <= headers.items()
    else:
        assert use.name in {"generic", "npm", "pypi", "maven"}, "all others ask the tool about the credential"


CONTROLS = [b"a\nb", b"a\n\n", b"a\rb", b"a\r", b"a\x00b", b"\x1ba", b"a\x7f"]


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("value", CONTROLS, ids=repr)
def test_t40_a_control_character_is_said_of_its_key_and_nothing_is_sent(use: Use, value: bytes) -> None:
    examined = use.examine(value)
    assert examined.secret_problem is not None
    assert examined.secret_problem.reason is ConditionReason.SECRET_KEY_INVALID
    assert f"key {use.key} of Secret login holds" in examined.secret_problem.message
    plan = compiled(examined)
    assert plan.refusal is not None
    assert plan.refusal.reason is Reason.CREDENTIAL_UNAVAILABLE
    assert not plan.targets
    assert asks_of(judgement_of(examined), None).auth is None


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("value", [b"", b"\n", b" ", b"\r\n"], ids=repr)
def test_t40_an_empty_value_makes_no_request_anonymous(use: Use, value: bytes) -> None:
    examined = use.examine(value)
    if use.kind == BASIC_AUTH:
        # Where a token stands in the place of one of the two, the other may be empty.
        assert examined.refusal is None
        other = use.others["password" if use.key == "username" else "username"]
        assert other in readable(sent(compiled(examined))["Authorization"])
        return
    assert examined.secret_problem is not None
    assert examined.secret_problem.reason is ConditionReason.SECRET_KEY_INVALID
    assert f"key {use.key} of Secret login is empty" in examined.secret_problem.message
    assert compiled(examined).refusal is not None


@pytest.mark.parametrize("use", [use for use in (*BASIC, *REST) if use.key == "username"], ids=str)
def test_t40_a_user_name_with_a_colon_is_refused(use: Use) -> None:
    problem = use.examine(b"a:b").secret_problem
    assert problem is not None
    assert problem.reason is ConditionReason.SECRET_KEY_INVALID
    assert "key username of Secret login holds a colon" in problem.message


@pytest.mark.parametrize("use", [use for use in BASIC if use.name in {"git", "harbor"}], ids=str)
def test_t40_a_login_of_which_one_half_is_left_out_is_asked_about_too(use: Use) -> None:
    alone = use._replace(others={}).examine(b"t0k")
    assert alone.refusal is None
    ask = asks_of(judgement_of(alone), None).auth
    assert isinstance(ask, Ask)
    (field,) = ask.request.headers
    assert field.value.reveal() == sent(compiled(alone))["Authorization"]
    assert readable(field.value.reveal()) == (b"t0k:" if use.key == "username" else b":t0k")


@pytest.mark.parametrize("use", DOCKER, ids=str)
def test_the_login_for_this_registry_is_what_is_asked_about(use: Use) -> None:
    found = use.examine(b'{"auths": {"tool.example.com": {"auth": "dTpw"}, "other.example.com": {"auth": "eDp5"}}}')
    assert (found.refusal, found.secret_note) == (None, "")
    ask = asks_of(judgement_of(found), None).auth
    assert isinstance(ask, Ask)
    (field,) = ask.request.headers
    assert field.value.reveal() == sent(compiled(found))["Authorization"] == b"Basic dTpw"
    other = use.examine(b'{"auths": {"other.example.com": {"auth": "eDp5"}}}')
    assert other.refusal is not None
    assert asks_of(judgement_of(other), None).auth is None
