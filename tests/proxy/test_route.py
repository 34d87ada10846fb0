from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.http.message import RequestHead
from connectors.objects.connector_class import RESOLVER_ANNOTATION
from connectors.objects.reasons import Reason
from proxy.decision import Facts
from tests.peers.manifests import Manifest, auth, connector, connector_class
from tests.proxy.decisions import ANYBODY, NOBODY, OURS, STRANGER, judge, request, snapshot_of, tool, verdict_of

UNDECLARED = ((b"X-Openapi-Address", b"lost"),)
LOOP = tool("http://c-tool.team.localhost")
MISPLACED = OURS._replace(misplaced=True)
BROKEN_LOOP = tool("http://c-tool.team.localhost", "lost")


@pytest.mark.parametrize(
    ("head", "manifests", "facts", "reason"),
    [
        # Each row breaks every rule from its own step on: the reason tells which step came first.
        pytest.param(
            request(b"/../x", UNDECLARED, method=b"TRACE"), (LOOP,), NOBODY, Reason.METHOD_NOT_ALLOWED, id="1"
        ),
        pytest.param(request(b"/../x", UNDECLARED), (LOOP,), NOBODY, Reason.REQUEST_MALFORMED, id="2 target"),
        pytest.param(request(b"/x", UNDECLARED, host=b"h"), (LOOP,), NOBODY, Reason.CONNECTOR_NOT_FOUND, id="3 naming"),
        pytest.param(request(b"/x", UNDECLARED), (BROKEN_LOOP,), NOBODY, Reason.UNAUTHENTICATED, id="4 caller"),
        pytest.param(request(b"/x", UNDECLARED), (BROKEN_LOOP,), STRANGER, Reason.FORBIDDEN, id="5 permission"),
        pytest.param(
            request(b"/x", UNDECLARED), (BROKEN_LOOP,), MISPLACED, Reason.UNAUTHENTICATED, id="5 where the token stands"
        ),
        pytest.param(request(b"/x", UNDECLARED), (), OURS, Reason.CONNECTOR_NOT_FOUND, id="6 existence"),
        pytest.param(request(b"/x", UNDECLARED), (BROKEN_LOOP,), OURS, Reason.CONNECTOR_INVALID, id="7 state"),
        pytest.param(
            request(b"/x", UNDECLARED),
            (tool("http://c-tool.team.localhost", auth=auth("basicAuth", "lost")),),
            OURS,
            Reason.CREDENTIAL_UNAVAILABLE,
            id="8 credential",
        ),
        pytest.param(request(b"/x", UNDECLARED), (LOOP,), OURS, Reason.ADDRESS_NOT_DECLARED, id="9 address"),
        pytest.param(request(b"/x"), (LOOP,), OURS, Reason.LOOP_DETECTED, id="10 loop"),
        pytest.param(request(b"/x"), (tool(),), OURS, None, id="11 forward"),
    ],
)
def test_the_order_of_the_steps(
    head: RequestHead, manifests: tuple[Manifest, ...], facts: Facts, reason: Reason | None
) -> None:
    verdict = verdict_of(head, *manifests, facts=facts)
    assert (verdict.refusal.reason if verdict.refusal else None) is reason
    assert (verdict.forward is None) is (reason is not None)


def test_a_refusal_names_the_connector_for_the_audit_once_it_is_known() -> None:
    head = request(b"/x")
    assert verdict_of(head, tool(), facts=STRANGER).plan is not None
    assert verdict_of(request(b"/..")).plan is None


@pytest.mark.parametrize("facts", [STRANGER, NOBODY], ids=["stranger", "nobody"])
def test_who_may_not_know_does_not_learn_from_host_and_path_together(facts: Facts) -> None:
    registry = connector_class("registry")
    registry["metadata"]["annotations"] = {RESOLVER_ANNOTATION: "path"}
    hidden = connector("harbor", "https://harbor.example", "registry", namespace="else")
    head = request(b"/namespaces/team/connectors/tool/x", host=b"c-harbor.else")
    there = verdict_of(head, registry, tool(), hidden, facts=facts)
    absent = verdict_of(head, registry, tool(), facts=facts)
    assert there.forward is None
    assert absent.forward is None
    assert there.refusal == absent.refusal


def test_nobody_is_asked_where_nobody_must_prove_anything() -> None:
    assert verdict_of(request(b"/x"), tool()).forward is not None


SNAPSHOT = snapshot_of(tool(), connector("tool", "https://else.example", namespace="else"))
RAW = st.binary(max_size=40)


@given(
    st.sampled_from([b"GET", b"TRACE", b"CONNECT", b"REPORT"]),
    st.one_of(RAW, RAW.map(lambda raw: b"/namespaces/team/connectors/tool" + raw)),
    st.lists(st.tuples(st.sampled_from([b"Host", b"X-Openapi-Address", b"Authorization", b"X"]), RAW), max_size=4),
    st.booleans(),
)
def test_every_request_gets_a_verdict(
    method: bytes, target: bytes, headers: list[tuple[bytes, bytes]], authenticated: bool
) -> None:
    verdict = judge(RequestHead(method, target, tuple(headers)), SNAPSHOT, NOBODY if authenticated else ANYBODY)
    assert (verdict.forward is None) is (verdict.refusal is not None)
    assert not (authenticated and verdict.forward), "nobody has proved anything"


@given(st.text("/.%2eEfF5cC\\;a", max_size=24))
def test_t04_no_target_leaves_the_addresss_prefix(path: str) -> None:
    verdict = verdict_of(request(b"/" + path.encode()), tool("https://tool.example/git"))
    if verdict.forward:
        assert verdict.forward.request_target.startswith(b"/git/")
