from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.expressions.template import Subject
from connectors.objects.conditions import ConditionStatus
from connectors.objects.connector import Connector
from connectors.objects.connector_class import ConnectorClass
from connectors.objects.reasons import ConditionReason
from connectors.objects.secret import Secret
from controller.probes.outcome import ProbeOutcome, Purpose
from controller.probes.request import Ask, http_ask, origin_of
from tests.controller.probes.subjects import BEARER, TOKEN, http, judgement, login, probed, probing_class


def of_class(
    connector_class: ConnectorClass,
    item: Connector | None = None,
    purpose: Purpose = Purpose.AUTH,
    secret: Secret | None = None,
) -> Ask | ProbeOutcome:
    """What the class's auth probe asks of a Connector."""
    bound = judgement(connector_class, item, secret)
    declared = connector_class.spec.auth_probes[0].probe
    assert declared is not None
    assert declared.http is not None
    subject = Subject(bound.connector, connector_class, bound.secret)
    return http_ask(declared.http, purpose, subject, bound.addresses)


def ask(probe: dict[str, Any], item: Connector | None = None, purpose: Purpose = Purpose.AUTH) -> Ask | ProbeOutcome:
    return of_class(probing_class(auth=probe), item, purpose)


def asked(probe: dict[str, Any], item: Connector | None = None) -> Ask:
    found = ask(probe, item)
    assert isinstance(found, Ask), found
    return found


def outcome(probe: dict[str, Any], item: Connector | None = None, purpose: Purpose = Purpose.AUTH) -> ProbeOutcome:
    found = ask(probe, item, purpose)
    assert isinstance(found, ProbeOutcome), found
    return found


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("", b"/"),
        ("/", b"/"),
        ("livez", b"/livez"),
        ("/a%2Fb//c;d?x=1&y", b"/a%2Fb//c;d?x=1&y"),
        ("{{ (urlParse .Connector.Spec.Address).path }}/v2/", b"/prefix/v2/"),
        ("\n/{{ .connector.metadata.name }}\n", b"/tool"),
        ("/{{ urlquery .Connector.Spec.ConnectorClassName }}", b"/demo"),
    ],
)
def test_paths(path: str, target: bytes) -> None:
    assert asked(http(path)).request.target.reveal() == target


def test_the_addresss_own_prefix_is_not_used() -> None:
    request = asked(http("/x")).request
    assert origin_of(request.address) == "https://tool.example"
    assert request.target.reveal() == b"/x"


@pytest.mark.parametrize(
    ("path", "hint"),
    [
        ("/a b", "visible ASCII"),
        ("/a\r\nX: y", "visible ASCII"),
        ("/a#b", "visible ASCII"),
        ("/\u00e9", "visible ASCII"),
        ("/" + "x" * 4000, None),
        ('/{{ printf "%s" .Secret.StringData.nope }}', "nope"),
        ("{{ .Secret.StringData.nope }}", "nope"),
    ],
)
def test_paths_that_are_none(path: str, hint: str | None) -> None:
    found = ask(http(path))
    if hint is None:
        assert isinstance(found, Ask)
        return
    assert isinstance(found, ProbeOutcome)
    assert (found.status, found.reason) == (ConditionStatus.FALSE, ConditionReason.TEMPLATE_ERROR)
    assert hint in found.message
    assert "path: " in found.message
    assert TOKEN.decode() not in found.message


@pytest.mark.parametrize(
    ("purpose", "reason"),
    [(Purpose.LIVENESS, ConditionReason.NON_LIVENESS_PROBE), (Purpose.AUTH, ConditionReason.NON_AUTH_PROBE)],
)
def test_a_path_that_renders_empty_is_nothing_to_probe(purpose: Purpose, reason: ConditionReason) -> None:
    found = outcome(http("{{ if .Secret }}/user{{ end }}"), probed(secret=False), purpose)
    assert (found.status, found.reason) == (ConditionStatus.TRUE, reason)
    assert "empty" in found.message


def test_headers_that_render_empty_are_left_out() -> None:
    headers = [*BEARER, {"name": "X-Fixed", "value": "1"}]
    with_secret = asked(http(httpHeaders=headers)).request.headers
    assert [(item.name, item.value.reveal(), item.from_secret) for item in with_secret] == [
        ("Authorization", b"Bearer " + TOKEN, True),
        ("X-Fixed", b"1", False),
    ]
    without = asked(http(httpHeaders=headers), probed(secret=False)).request.headers
    assert [item.name for item in without] == ["X-Fixed"]


@pytest.mark.parametrize(
    "value", ["{{ .Secret.StringData.nope }}", '{{ printf "a\\r\\nb: c" }}', '{{ printf "\\x00" }}']
)
def test_headers_that_cannot_be_sent(value: str) -> None:
    found = outcome(http(httpHeaders=[{"name": "X-Key", "value": value}]))
    assert (found.status, found.reason) == (ConditionStatus.FALSE, ConditionReason.TEMPLATE_ERROR)
    assert found.message.startswith("header X-Key: ")


WHERE = [
    # own address, scheme, host -> origin
    ("https://tool.example/p", "", "", "https://tool.example"),
    ("https://tool.example:8443", "", "", "https://tool.example:8443"),
    ("https://tool.example", "http", "", "http://tool.example"),
    ("https://tool.example:8443", "http", "", "http://tool.example:8443"),
    ("https://tool.example:8443", "", "tool.example", "https://tool.example:8443"),
    ("https://tool.example:8443", "", "TOOL.example.", "https://tool.example:8443"),
    ("https://tool.example:8443", "", "tool.example:9443", "https://tool.example:9443"),
    ("https://tool.example", "", "tool.example:443", "https://tool.example"),
    ("https://tool.example", "https", "other.example", "https://other.example"),
    ("https://tool.example", "", "other.example", "http://other.example"),
    ("https://tool.example", "", "other.example:81", "http://other.example:81"),
    ("http://[2001:db8::1]:8080", "", "[2001:db8::1]", "http://[2001:db8::1]:8080"),
    ("http://[2001:db8::1]:8080", "", "[2001:db8::1]:9", "http://[2001:db8::1]:9"),
]


@pytest.mark.parametrize(("address", "scheme", "host", "origin"), WHERE)
def test_where_it_goes(address: str, scheme: str, host: str, origin: str) -> None:
    request = asked(http(scheme=scheme, host=host), probed(address=address)).request
    assert origin_of(request.address) == origin
    assert request.address.path == b""


@pytest.mark.parametrize(
    ("scheme", "host"),
    [("", "other.example"), ("https", "other.example"), ("http", ""), ("", "tool.example:9443")],
)
@pytest.mark.parametrize("fields", [{"httpHeaders": BEARER}, {"path": "/?t={{ .Secret.StringData.token }}"}])
def test_t25_what_is_made_of_the_secret_goes_to_declared_origins_only(
    scheme: str, host: str, fields: dict[str, Any]
) -> None:
    found = outcome(http(**{"path": "/", "scheme": scheme, "host": host, **fields}))
    assert (found.status, found.reason) == (ConditionStatus.FALSE, ConditionReason.ADDRESS_NOT_DECLARED)
    assert "nothing was sent" in found.message
    assert TOKEN.decode() not in found.message


@pytest.mark.parametrize(("own", "stated"), [("nexus.dev", "nexus.dev."), ("nexus.dev.", "nexus.dev")])
def test_t25_a_dot_in_the_classs_host_does_not_lead_to_another_server(own: str, stated: str) -> None:
    for host in (stated, f"{stated}:80"):
        made = asked(http("/", host=host, httpHeaders=BEARER), probed(address=f"http://{own}")).request
        assert (made.holds_secret, made.address.host, made.address.port) == (True, own, 80)


def test_t25_an_extension_is_declared_and_without_a_secret_anything_goes() -> None:
    connector_class = probing_class(
        auth=http(scheme="https", host="api.tool.example", httpHeaders=BEARER),
        addressExtensions=[{"name": "api", "default": ""}],
    )
    extended = probed(addressExtensions=[{"name": "api", "value": "https://api.tool.example/v3"}])
    assert isinstance(of_class(connector_class, extended), Ask)
    dotted = of_class(
        connector_class, probed(addressExtensions=[{"name": "api", "value": "https://api.tool.example./v3"}])
    )
    assert isinstance(dotted, Ask)
    assert dotted.request.address.host == "api.tool.example."
    assert isinstance(of_class(connector_class), ProbeOutcome)
    anonymous = of_class(connector_class, probed(secret=False))
    assert isinstance(anonymous, Ask)
    assert not anonymous.request.headers


def test_t25_a_header_that_only_depends_on_the_secret_counts_as_made_of_it() -> None:
    value = "{{ if .Secret }}there is one{{ end }}"
    found = outcome(http(host="other.example", httpHeaders=[{"name": "X-Is", "value": value}]))
    assert found.reason is ConditionReason.ADDRESS_NOT_DECLARED


@pytest.mark.parametrize("token", [b"a", b"b"])
def test_t25_nor_does_the_lack_of_a_header_tell_of_the_secret(token: bytes) -> None:
    value = '{{ if eq .Secret.StringData.token "a" }}it is a{{ end }}'
    fields = [{"name": "X-Is", "value": value}]
    connector_class = probing_class(auth=http(host="other.example", httpHeaders=fields))
    declared = connector_class.spec.auth_probes[0].probe
    assert declared is not None
    assert declared.http is not None
    bound = judgement(connector_class, secret=login(token=token))
    subject = Subject(bound.connector, connector_class, bound.secret)
    found = http_ask(declared.http, Purpose.AUTH, subject, bound.addresses)
    assert isinstance(found, ProbeOutcome)
    assert found.reason is ConditionReason.ADDRESS_NOT_DECLARED
    assert "header X-Is" in found.message


def test_method_check_and_redirects() -> None:
    found = asked(http(method="POST", disableRedirect=True, response={"cel": "response.statusCode == 204"}))
    assert found.request.method == "POST"
    assert not found.follow
    assert found.check is not None
    assert found.check.source == "response.statusCode == 204"
    plain = asked(http())
    assert (plain.request.method, plain.follow, plain.check) == ("GET", True, None)
    assert 204 in plain.success
    assert 302 not in plain.success


def test_a_header_that_is_no_text() -> None:
    said = of_class(probing_class(auth=http(httpHeaders=BEARER)), secret=login(token=b"\xff\xfe"))
    assert isinstance(said, ProbeOutcome)
    assert said.reason is ConditionReason.TEMPLATE_ERROR
    assert "not UTF-8" in said.message


@given(st.binary(min_size=1, max_size=40))
def test_t25_no_secret_makes_another_request_of_it(token: bytes) -> None:
    kind = probing_class(auth=http("/{{ .Secret.StringData.token }}", httpHeaders=BEARER))
    found = of_class(kind, secret=login(token=token))
    if isinstance(found, Ask):
        sent = found.request.target.reveal() + b"".join(item.value.reveal() for item in found.request.headers)
        assert not set(sent) & set(b"\r\n\0")
        assert b" " not in found.request.target.reveal()
