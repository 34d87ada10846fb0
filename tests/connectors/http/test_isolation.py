from __future__ import annotations

import pytest

from connectors.http.isolation import IsolationPolicy, depends_on_method, names_this_machine
from connectors.http.message import Headers, RequestHead
from connectors.objects.reasons import Reason, RefusedError

OWN = b"c-tool.team.localhost:8080"
CROSS = (b"Sec-Fetch-Site", b"cross-site")
SAME_SITE = (b"Sec-Fetch-Site", b"same-site")
NAVIGATE = (b"Sec-Fetch-Mode", b"navigate")
DOCUMENT = (b"Sec-Fetch-Dest", b"document")


def own_host(host: str) -> bool:
    return names_this_machine(host) or host == "tools.example"


def refusal_of(
    *headers: tuple[bytes, bytes], host: bytes | None = OWN, method: bytes = b"GET", scheme: str = "http"
) -> str:
    """The sentence of the refusal; empty where the request passes."""
    named: Headers = () if host is None else ((b"Host", host),)
    try:
        IsolationPolicy(scheme, own_host).require_own(RequestHead(method, b"/x", named + headers))
    except RefusedError as error:
        refusal = error.refusal
    else:
        return ""
    assert refusal.reason is Reason.FORBIDDEN
    return refusal.message


@pytest.mark.parametrize(
    "host",
    [
        "localhost", "c-tool.team.localhost", "a.localhost", "127.0.0.1", "127.1.2.3", "::1", "::ffff:127.0.0.1",
    ],
)  # fmt: skip
def test_names_of_this_machine(host: str) -> None:
    assert names_this_machine(host)


@pytest.mark.parametrize(
    "host",
    [
        "", "evil.example", "localhost.evil.example", "notlocalhost", "127.0.0.1.evil.example", "127.1", "0x7f.0.0.1",
        "2130706433", "0.0.0.0", "::", "10.0.0.1", "c-tool.team", "::ffff:10.0.0.1", "fe80::1%lo",  # noqa: S104
    ],
)  # fmt: skip
def test_t38_names_of_others(host: str) -> None:
    assert not names_this_machine(host)


@pytest.mark.parametrize(
    "host",
    [
        OWN, b"LOCALHOST:1", b"localhost.", b"127.0.0.1:8080", b"[::1]:8080", b"tools.example", b"TOOLS.example.:9",
    ],
)  # fmt: skip
@pytest.mark.parametrize("method", [b"GET", b"POST", b"OPTIONS"])
def test_programs_pass(host: bytes, method: bytes) -> None:
    assert refusal_of((b"Accept", b"*/*"), host=host, method=method) == ""


@pytest.mark.parametrize(
    "host", [b"evil.example", b"evil.example:8080", b"c-git.dev", b"0.0.0.0:8080", b"[::]", b"x@localhost", b"a b"]
)
def test_t38_a_name_that_only_leads_here_is_refused(host: bytes) -> None:
    """DNS rebinding: the browser says of its page what it says of the tool's own."""
    assert "--allow-host" in refusal_of((b"Sec-Fetch-Site", b"same-origin"), host=host)
    assert "--allow-host" in refusal_of(host=host)
    assert "--allow-host" in refusal_of((b"Sec-Fetch-Site", b"none"), NAVIGATE, DOCUMENT, host=host)


@pytest.mark.parametrize("headers", [(), ((b"Sec-Fetch-Site", b"none"),)])
def test_no_host_is_a_programs(headers: Headers) -> None:
    assert refusal_of(*headers, host=None) == ""
    assert refusal_of(*headers, host=b"") == ""


def test_where_other_machines_reach_it_any_host_may_be_its_own() -> None:
    open_policy = IsolationPolicy("http", None)
    open_policy.require_own(RequestHead(b"GET", b"/", ((b"Host", b"10.0.0.7:8080"),)))
    with pytest.raises(RefusedError):
        open_policy.require_own(RequestHead(b"GET", b"/", ((b"Host", b"10.0.0.7:8080"), CROSS)))


@pytest.mark.parametrize("site", [b"same-origin", b"none"])
@pytest.mark.parametrize("method", [b"GET", b"POST", b"OPTIONS"])
def test_the_tools_own_pages_pass(site: bytes, method: bytes) -> None:
    headers = ((b"Sec-Fetch-Site", site), (b"Origin", b"http://" + OWN))
    assert refusal_of(*headers, method=method) == ""


FOREIGN: list[Headers] = [
    (CROSS,),
    (SAME_SITE,),
    ((b"SEC-FETCH-SITE", b"same-site"),),
    ((b"Sec-Fetch-Site", b"Cross-Site"),),
    ((b"Sec-Fetch-Site", b"same-origin, cross-site"),),
    ((b"Sec-Fetch-Site", b"same-origin"), CROSS),
    ((b"Sec-Fetch-Site", b"of-tomorrow"),),
    ((b"Sec-Fetch-Site", b""),),
    (CROSS, (b"Sec-Fetch-Mode", b"no-cors"), (b"Sec-Fetch-Dest", b"image")),
    (CROSS, (b"Sec-Fetch-Mode", b"cors"), DOCUMENT),
    (CROSS, NAVIGATE),
    (CROSS, DOCUMENT),
    (CROSS, NAVIGATE, NAVIGATE, DOCUMENT),
    (CROSS, NAVIGATE, (b"Sec-Fetch-Dest", b"iframe")),
    (CROSS, NAVIGATE, (b"Sec-Fetch-Dest", b"frame")),
    (CROSS, NAVIGATE, (b"Sec-Fetch-Dest", b"embed")),
    (CROSS, NAVIGATE, (b"Sec-Fetch-Dest", b"object")),
    (CROSS, NAVIGATE, DOCUMENT, (b"Origin", b"http://evil.example")),
]
ORIGINS = [
    b"http://evil.example", b"https://c-tool.team.localhost:8080", b"http://c-tool.team.localhost",
    b"http://c-tool.team.localhost:8081", b"http://c-other.team.localhost:8080", b"http://localhost:8080", b"null",
    b"", b"file://", b"chrome-extension://abcdef", b"http://c-tool.team.localhost:8080/",
    b"http://c-tool.team.localhost:8080.evil.example", b"http://x@c-tool.team.localhost:8080",
    b"http://c-tool.team.localhost:8080, http://evil.example", b"http://evil.example http://c-tool.team.localhost:8080",
    b"c-tool.team.localhost:8080", b"ws://c-tool.team.localhost:8080",
]  # fmt: skip


@pytest.mark.parametrize("headers", FOREIGN)
@pytest.mark.parametrize("method", [b"GET", b"POST", b"OPTIONS"])
def test_t38_what_a_page_of_another_origin_sends_is_refused(headers: Headers, method: bytes) -> None:
    assert "another origin" in refusal_of(*headers, method=method)


@pytest.mark.parametrize("origin", ORIGINS)
def test_t38_another_origin_is_refused(origin: bytes) -> None:
    """A WebSocket and a preflight have no other sign of it in some browsers."""
    assert "another origin" in refusal_of((b"Origin", origin))
    assert "another origin" in refusal_of((b"Origin", b"http://" + OWN), (b"Origin", origin))
    if origin != b"null":
        assert "another origin" in refusal_of((b"Origin", origin), (b"Sec-Fetch-Site", b"same-origin"))


@pytest.mark.parametrize("site", [CROSS, SAME_SITE])
def test_a_link_passes(site: tuple[bytes, bytes]) -> None:
    assert refusal_of(site, NAVIGATE, DOCUMENT) == ""


@pytest.mark.parametrize("method", [b"POST", b"HEAD", b"PUT", b"get"])
def test_t38_only_get_follows_a_link(method: bytes) -> None:
    assert "another origin" in refusal_of(CROSS, NAVIGATE, DOCUMENT, method=method)


def test_a_form_of_a_page_that_tells_no_referrer() -> None:
    """Its Origin is null, and the browser vouches for it; of a sandboxed page it does not."""
    null = (b"Origin", b"null")
    assert refusal_of(null, (b"Sec-Fetch-Site", b"same-origin"), NAVIGATE, DOCUMENT, method=b"POST") == ""
    assert refusal_of(null, (b"Sec-Fetch-Site", b"none"), method=b"POST") != ""
    assert refusal_of(null, CROSS, method=b"POST") != ""


@pytest.mark.parametrize(
    ("origin", "host", "scheme"),
    [
        (b"http://tools.example", b"tools.example", "http"),
        (b"http://tools.example:80", b"tools.example", "http"),
        (b"HTTP://TOOLS.EXAMPLE", b"tools.example:80", "http"),
        (b"https://tools.example", b"tools.example", "https"),
        (b"https://tools.example:8443", b"tools.example:8443", "https"),
        (b"http://[::1]:8080", b"[::1]:8080", "http"),
        # TLS ends before the proxy.
        (b"https://tools.example", b"tools.example", "http"),
    ],
)
def test_an_origin_is_the_address_of_the_request(origin: bytes, host: bytes, scheme: str) -> None:
    assert refusal_of((b"Origin", origin), host=host, scheme=scheme) == ""


@pytest.mark.parametrize(
    ("origin", "host", "scheme"),
    [
        (b"https://localhost", b"localhost", "http"),
        (b"http://localhost", b"localhost", "https"),
        (b"http://tools.example", b"tools.example", "https"),
        (b"https://tools.example", b"tools.example:80", "http"),
        (b"http://tools.example", b"", "http"),
    ],
)
def test_t38_another_program_of_this_machine_is_another_origin(origin: bytes, host: bytes, scheme: str) -> None:
    assert "another origin" in refusal_of((b"Origin", origin), host=host, scheme=scheme)


@pytest.mark.parametrize("site", [b"cross-site", b"same-site", b"of-tomorrow"])
def test_a_block_that_passes_with_one_method_alone(site: bytes) -> None:
    assert depends_on_method(RequestHead(b"GET", b"/", ((b"Host", OWN), (b"Sec-Fetch-Site", site))))


@pytest.mark.parametrize("headers", [(), ((b"Sec-Fetch-Site", b"none"),), ((b"Sec-Fetch-Site", b"same-origin"),)])
def test_all_other_blocks_do_not(headers: Headers) -> None:
    assert not depends_on_method(RequestHead(b"GET", b"/", headers))
