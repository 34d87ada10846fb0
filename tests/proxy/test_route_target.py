from __future__ import annotations

import pytest
import trustme
from hypothesis import given
from hypothesis import strategies as st

from connectors.http.message import Headers
from connectors.objects.reasons import Reason, RefusedError
from proxy.decision import Mount
from proxy.route import require_no_loop
from tests.peers.manifests import Manifest, auth, connector_class, secret
from tests.proxy.decisions import forward_of, plan_of, request, snapshot_of, tool, verdict_of

NAME = b"/namespaces/team/connectors/tool"
API = "https://api.example/v3/"
CLASS = connector_class("forge", addressExtensions=[{"name": "api", "type": "string"}, {"name": "b", "default": ""}])


def forge(address: str = "https://tool.example/git/", api: str = API) -> tuple[Manifest, Manifest]:
    return CLASS, tool(address, "forge", addressExtensions=[{"name": "api", "value": api}])


def chooser(*choices: bytes) -> Headers:
    return tuple((b"X-Openapi-Address", choice) for choice in choices)


@pytest.mark.parametrize(
    ("address", "rest", "expected"),
    [
        ("https://t.example", b"", b"/"),
        ("https://t.example", b"/", b"/"),
        ("https://t.example/", b"", b"/"),
        ("https://t.example", b"?", b"/?"),
        ("https://t.example", b"//x", b"//x"),
        ("https://t.example/git", b"", b"/git"),
        ("https://t.example/git/", b"", b"/git/"),
        ("https://t.example/git/", b"/", b"/git/"),
        ("https://t.example/git", b"/", b"/git/"),
        ("https://t.example/git//", b"/x", b"/git/x"),
        ("https://t.example/a%2Fb", b"/c%2Fd?e=%2F&f", b"/a%2Fb/c%2Fd?e=%2F&f"),
    ],
)
def test_path_form_targets(address: str, rest: bytes, expected: bytes) -> None:
    assert forward_of(request(NAME + rest, host=b"proxy"), tool(address)).request_target == expected


@given(st.text("abc019-._~%!$&'()*+,;=:@/?", max_size=30).filter(lambda text: ".." not in text and "%" not in text))
def test_the_rest_stays_byte_for_byte(text: str) -> None:
    rest = b"/" + text.encode()
    for target, host in ((rest, b"c-tool.team"), (NAME + rest, b"proxy")):
        assert forward_of(request(target, host=host), tool("https://t.example/git")).request_target == b"/git" + rest


def test_t04_encoded_slashes_survive() -> None:
    target = b"/api/v4/projects/group%2Fproject/@scope%2fname"
    assert forward_of(request(target)).request_target == target


@pytest.mark.parametrize(
    ("target", "sent"),
    [
        (b"/v2" + NAME + b"/library/x/manifests/1", b"/hub/v2/library/x/manifests/1"),
        (b"/v2" + NAME, b"/hub/v2/"),
        (b"/v2" + NAME + b"/", b"/hub/v2/"),
    ],
)
def test_registry_form(target: bytes, sent: bytes) -> None:
    forward = forward_of(request(target, host=b"proxy"), tool("https://t.example/hub"))
    assert forward.request_target == sent
    assert forward.mounts == (Mount(b"/v2" + NAME, b"/hub/v2"), Mount(NAME, b"/hub"))


@pytest.mark.parametrize(
    ("name", "headers", "chosen"),
    [
        pytest.param(NAME, (), "https://tool.example/git/", id="default"),
        pytest.param(NAME + b"@", (), "https://tool.example/git/", id="empty name"),
        pytest.param(NAME + b"@api", (), API, id="path"),
        pytest.param(NAME, chooser(b"api"), API, id="header by name"),
        pytest.param(NAME, chooser(b"https://api.example/v3"), API, id="header by URL"),
        pytest.param(NAME, chooser(b"HTTPS://API.example:443/%763/"), API, id="header by another spelling"),
        pytest.param(NAME, chooser(b"https://tool.example/git"), "https://tool.example/git/", id="header by own URL"),
        pytest.param(NAME + b"@api", chooser(b"api"), API, id="both agree"),
        pytest.param(NAME + b"@api", chooser(b"https://api.example/v3/"), API, id="both agree by URL"),
    ],
)
def test_choice_of_address(name: bytes, headers: Headers, chosen: str) -> None:
    forward = forward_of(request(name + b"/x", headers, host=b"proxy"), *forge())
    assert str(forward.target.address) == chosen
    assert forward.request_target == forward.target.address.prefix + b"/x"


def test_two_names_of_one_address_choose_the_same() -> None:
    kind = connector_class("forge", addressExtensions=[{"name": name, "default": API} for name in ("api", "web")])
    manifests = (kind, tool("https://tool.example", "forge"))
    verdict = verdict_of(request(NAME + b"@web/x", chooser(API.encode()), host=b"proxy"), *manifests)
    assert verdict.forward is not None
    assert str(verdict.forward.target.address) == API


@pytest.mark.parametrize(
    ("name", "headers", "reason"),
    [
        pytest.param(NAME + b"@lost", (), Reason.ADDRESS_NOT_DECLARED, id="unknown name"),
        pytest.param(NAME + b"@b", (), Reason.ADDRESS_NOT_DECLARED, id="declared but empty"),
        pytest.param(NAME + b"@API", (), Reason.ADDRESS_NOT_DECLARED, id="name in another case"),
        pytest.param(NAME, chooser(b"lost"), Reason.ADDRESS_NOT_DECLARED, id="unknown name in header"),
        pytest.param(NAME, chooser(b"https://evil.example"), Reason.ADDRESS_NOT_DECLARED, id="foreign URL"),
        pytest.param(NAME, chooser(b"https://api.example/v"), Reason.ADDRESS_NOT_DECLARED, id="another path"),
        pytest.param(NAME, chooser(b"https://api.example/v3/x"), Reason.ADDRESS_NOT_DECLARED, id="below the path"),
        pytest.param(NAME, chooser(b"http://api.example/v3"), Reason.ADDRESS_NOT_DECLARED, id="another scheme"),
        pytest.param(NAME, chooser(b"https://api.example:8443/v3"), Reason.ADDRESS_NOT_DECLARED, id="another port"),
        pytest.param(NAME, chooser(b"https://x@api.example/v3"), Reason.ADDRESS_NOT_DECLARED, id="userinfo"),
        pytest.param(NAME, chooser(b"https://api.example/v3?"), Reason.ADDRESS_NOT_DECLARED, id="query"),
        pytest.param(NAME, chooser(b"\xff://"), Reason.ADDRESS_NOT_DECLARED, id="garbage"),
        pytest.param(NAME, chooser(b"api", b"api"), Reason.REQUEST_MALFORMED, id="twice"),
        pytest.param(NAME + b"@api", chooser(b""), Reason.ADDRESS_NOT_DECLARED, id="header says the default"),
    ],
)
def test_t28_only_declared_addresses(name: bytes, headers: Headers, reason: Reason) -> None:
    refusal = verdict_of(request(name + b"/x", headers, host=b"proxy"), *forge()).refusal
    assert refusal is not None
    assert refusal.reason is reason
    assert "evil" not in refusal.message


@pytest.mark.parametrize(
    ("address", "loops"),
    [
        ("http://c-tool.team.localhost:8080", True),
        ("https://C-Tool.Team.svc.cluster.local.", True),
        ("http://c-tool.team", True),
        ("http://c-unknown.team", False),
        ("http://tool.team", False),
    ],
)
def test_a_connectors_own_proxy_address_loops(address: str, loops: bool) -> None:
    snapshot, chosen = snapshot_of(tool()), plan_of(tool(address)).targets[""]
    if not loops:
        require_no_loop(chosen, snapshot)
        return
    with pytest.raises(RefusedError) as refused:
        require_no_loop(chosen, snapshot)
    assert refused.value.refusal.reason is Reason.LOOP_DETECTED


def test_a_client_certificate_goes_over_tls_or_not_at_all() -> None:
    """The class's own default of an address: no check of the Connector names it."""
    leaf = trustme.CA().issue_cert("client.example")
    data = {"tls.crt": leaf.cert_chain_pems[0].bytes().decode(), "tls.key": leaf.private_key_pem.bytes().decode()}
    kind = connector_class(
        "mtls",
        [{"name": "cert", "secretType": "kubernetes.io/tls"}],
        addressExtensions=[{"name": "plain", "default": "http://tool.example"}],
    )
    manifests = [
        kind,
        tool(class_name="mtls", auth=auth("cert", "pair")),
        secret("pair", data, "kubernetes.io/tls", namespace="team"),
    ]
    assert forward_of(request(), *manifests).target.address.scheme == "https"
    refusal = verdict_of(request(headers=chooser(b"plain")), *manifests).refusal
    assert refusal is not None
    assert refusal.reason is Reason.CONNECTOR_INVALID
