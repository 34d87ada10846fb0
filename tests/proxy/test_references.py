from __future__ import annotations

import re
from urllib.parse import unquote_to_bytes

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from connectors.http.message import Headers, MessageError, RequestHead
from connectors.plan import PATH_OVERRIDES
from connectors.snapshot import Snapshot
from proxy.decision import Forward
from proxy.inject import outgoing
from proxy.references import LOOKED_AT, METHOD_OVERRIDES
from tests.proxy.decisions import OWN_HOST, forward_of, judge, request, snapshot_of, tool

PREFIXED = tool("https://tool.example:8443/pub/")
BARE = tool("https://tool.example")
FORM = b"/namespaces/team/connectors/tool"
SHARED = b"proxy.example:8080"
"""A host that names no Connector."""


class Way:
    """How a client asks: by host or by path, for a tool with a prefix or without."""

    def __init__(self, *, by_path: bool = False, bare: bool = False, registry: bool = False) -> None:
        self.host = SHARED if by_path else OWN_HOST
        self.base = (b"/v2" if registry else b"") + (FORM if by_path else b"")
        self.tool = BARE if bare else PREFIXED

    def head(self, *fields: tuple[bytes, bytes], method: bytes = b"COPY") -> RequestHead:
        return request(self.base + b"/x", fields, host=self.host, method=method)

    def sends(self, name: bytes, value: bytes) -> bytes | None:
        """What of the field reaches the tool; None where it does not."""
        head = self.head((name, value.replace(b"<base>", self.base).replace(b"<host>", self.host)))
        (sent,) = outgoing(head, forward_of(head, self.tool)).values(name.lower()) or (None,)
        return sent


HOST, PATH = Way(), Way(by_path=True)
HOST_BARE, PATH_BARE = Way(bare=True), Way(by_path=True, bare=True)
WAYS = {"host": HOST, "path": PATH, "host, no prefix": HOST_BARE, "path, no prefix": PATH_BARE}
ROOT = b"https://tool.example:8443"


@pytest.mark.parametrize("way", [HOST, PATH], ids=["host", "path"])
@pytest.mark.parametrize(
    ("sent", "got"),
    [
        (b"http://<host><base>/a%2Fb", ROOT + b"/pub/a%2Fb"),
        (b"HTTP://<host><base>/a", ROOT + b"/pub/a"),
        (b"https://<host><base>/a", ROOT + b"/pub/a"),
        (b"<base>/a b/\xc3\xa4", b"/pub/a b/\xc3\xa4"),
        (b"<base>/a?b=../c", b"/pub/a?b=../c"),
        (b"<base>/a..b/.c/./d;e=f", b"/pub/a..b/.c/./d;e=f"),
        (b"<base>/", b"/pub/"),
        (ROOT + b"/pub/a", ROOT + b"/pub/a"),
        (b"HTTPS://Tool.Example.:8443/pub/a", b"HTTPS://Tool.Example.:8443/pub/a"),
        (ROOT + b"/pub", ROOT + b"/pub"),
    ],
)
def test_t37_a_destination_becomes_the_tools(way: Way, sent: bytes, got: bytes) -> None:
    assert way.sends(b"Destination", sent) == got
    assert way.sends(b"dESTINATION", sent) == got
    assert way.sends(b"If", b"<" + sent + b"> (<urn:x>)") == b"<" + got + b"> (<urn:x>)"


@pytest.mark.parametrize(
    ("way", "sent", "got"),
    [
        (HOST_BARE, b"/a", b"/a"),
        (HOST_BARE, b"http://<host>", b"https://tool.example/"),
        (HOST_BARE, b"http://<host>:80/a", b"https://tool.example/a"),
        (HOST_BARE, b"http://C-Tool.Team.LocalHost./a", b"https://tool.example/a"),
        (HOST_BARE, b"https://tool.example:443/a", b"https://tool.example:443/a"),
        # CouchDB names the document, and Swift the container, without or with a slash.
        (HOST_BARE, b"another-document", b"another-document"),
        (PATH_BARE, b"another-document?rev=1", b"another-document?rev=1"),
        (PATH_BARE, FORM, b"/"),
        (PATH, b"<base>//a", b"/pub//a"),
        # What a reader would take for another host is said in full.
        (PATH_BARE, FORM + b"//evil.example/x", b"https://tool.example//evil.example/x"),
        (Way(by_path=True, registry=True), b"<base>/a", b"/pub/v2/a"),
        (Way(by_path=True, registry=True), FORM + b"/a", b"/pub/a"),
    ],
)
def test_t37_a_destination_in_other_forms(way: Way, sent: bytes, got: bytes) -> None:
    assert way.sends(b"Destination", sent) == got


OUTSIDE = [
    *(b"", b" ", b"*", b"<base>/a#b", b"<base>/a\\..\\b", b"<base>/a\tb", b'<base>/"', b"<base>/<x>"),
    *(b"https://tool.example:8443/private/key", b"https://tool.example:8443/public/a", b"https://tool.example/pub/a"),
    *(b"http://tool.example:8443/pub/a", b"//tool.example:8443/pub/a", b"//<host><base>/a", b"/\\<host><base>/a"),
    *(b"http://elsewhere.example<base>/a", b"http://<host>:81<base>/a", b"http://user@<host><base>/a"),
    *(b"http://<host>@elsewhere.example/a", b"http://elsewhere.example\\@<host><base>/a", b"ftp://<host><base>/a"),
    *(b"http:<base>/a", b"http:/<host><base>/a", b"file:///etc/passwd", b"key", b"../private/key", b"./key", b"?x"),
    *(b"<base>/../private/key", b"<base>/a/../../private/key", b"<base>/%2e%2e/private/key", b"<base>/%252e./key"),
    *(b"<base>/..%2fprivate/key", b"<base>/%u002e%u002e/private/key", b"<base>/..%c2%a0/key", b"<base>/..%0a/key"),
    *(b"<base>/..;x/private/key", b"<base>/%c0%ae%c0%ae/key", b"<base>/..\xc2\xa0/key", b"http://<host><base>/../key"),
    *(b"https://tool.example:8443/pub/../private/key", b"https://tool.example:8443/pub/%2e%2e/private/key"),
]


@pytest.mark.parametrize("way", [HOST, PATH], ids=["host", "path"])
@pytest.mark.parametrize("sent", OUTSIDE)
def test_t37_what_lies_outside_is_refused(way: Way, sent: bytes) -> None:
    with pytest.raises(MessageError):
        way.sends(b"Destination", sent)
    if b"<" not in sent.replace(b"<base>", b"").replace(b"<host>", b""):  # else it is another list
        with pytest.raises(MessageError):
            way.sends(b"If", b"<" + sent + b"> (<urn:x>)")


@pytest.mark.parametrize(
    ("way", "sent"),
    [
        (PATH, b"/private/key"),
        (PATH, b"/pub/a"),
        (PATH, FORM + b"x/a"),
        (PATH, b"/namespaces/team/connectors/other/a"),
        (PATH, b"http://" + OWN_HOST + b"/a"),
        (PATH, b"http://proxy.example" + FORM + b"/a"),
        (PATH_BARE, b"/a"),
        (PATH_BARE, b"x:a"),
        (HOST_BARE, b"../a"),
        (HOST_BARE, b"http://elsewhere.example/a"),
        (HOST_BARE, b"//elsewhere.example/a"),
    ],
)
def test_t37_so_is_what_is_not_the_address_that_the_client_used(way: Way, sent: bytes) -> None:
    with pytest.raises(MessageError, match="outside of the Connector's address"):
        way.sends(b"Destination", sent)


def test_t37_of_two_destinations_neither_is_taken() -> None:
    head = HOST.head((b"Destination", b"/a"), (b"destination", b"/a"))
    with pytest.raises(MessageError, match="only once"):
        outgoing(head, forward_of(head, PREFIXED))


def test_a_client_without_host_names_a_destination_by_path() -> None:
    def of(destination: bytes) -> RequestHead:
        head = request(FORM + b"/x", ((b"Destination", destination),), host=None)
        return outgoing(head, forward_of(head, PREFIXED))

    assert of(FORM + b"/a").values(b"destination") == [b"/pub/a"]
    with pytest.raises(MessageError):
        of(b"http://" + SHARED + FORM + b"/a")


# -- If


@pytest.mark.parametrize(
    ("sent", "got"),
    [
        (b"(<urn:uuid:1>)", b"(<urn:uuid:1>)"),
        (b'(<urn:uuid:1> ["an ETag"]) (["another"])', b'(<urn:uuid:1> ["an ETag"]) (["another"])'),
        (b'(Not <urn:uuid:1> not [W/"x"])(<DAV:no-lock>)', b'(Not <urn:uuid:1> not [W/"x"])(<DAV:no-lock>)'),
        (b"</a> (<urn:1>)\t(Not<urn:2>)", b"</pub/a> (<urn:1>)\t(Not<urn:2>)"),
        (b"</a>(<urn:1>) <http://<host>/b>([x])", b"</pub/a>(<urn:1>) <%b/pub/b>([x])" % ROOT),
        # A state token is a name, whatever it looks like.
        (b"(<http://tool.example/private/lock>)", b"(<http://tool.example/private/lock>)"),
        (b"", b""),
    ],
)  # fmt: skip
def test_t37_tags_of_conditions_are_mapped_and_nothing_else(sent: bytes, got: bytes) -> None:
    assert HOST.sends(b"If", sent) == got


@pytest.mark.parametrize(
    "value",
    [
        b"<urn:x>",
        b"</a>",
        b"()",
        b"(<urn:x>",
        b"(<urn:x>) </a>",
        b"(<urn:(x>) </private/key> (<urn:x)>)",
        b'(["]"]) </a> (["["])',
        b"(Not)",
        b"(Not Not <urn:x>)",
        b"x(<urn:x>)",
        b"(<urn:x>),(<urn:y>)",
        b"(<urn:x>) x",
        b"<(<urn:x>)",
        b"</a>(<urn:x>)" * 1000,
    ],
)
def test_t37_conditions_that_readers_take_apart_differently_are_refused(value: bytes) -> None:
    with pytest.raises(MessageError, match=r"section 10\.4\.2"):
        HOST.sends(b"If", value)


# -- Origin and Referer


@pytest.mark.parametrize(
    ("way", "name", "sent", "got"),
    [
        (HOST, b"Origin", b"http://<host>", ROOT),
        (HOST, b"Origin", b"https://<host>", ROOT),
        (PATH, b"Origin", b"http://<host>", ROOT),
        (HOST_BARE, b"Origin", b"http://<host>:80", b"https://tool.example"),
        (HOST, b"Origin", b"http://<host>:8080", None),
        (HOST, b"Origin", b"http://<host>/", None),
        (HOST, b"Origin", b"http://elsewhere.example", None),
        (HOST, b"Origin", b"null", None),
        (HOST, b"Origin", b"", None),
        (HOST, b"Origin", b"https://tool.example:8443", None),
        (HOST, b"Origin", b"http://<host> http://<host>", None),
        (HOST, b"Referer", b"http://<host>/a?b=c", ROOT + b"/pub/a?b=c"),
        (HOST, b"Referer", b"http://<host>", ROOT + b"/pub/"),
        (PATH, b"Referer", b"https://<host><base>/a%2Fb", ROOT + b"/pub/a%2Fb"),
        (PATH, b"Referer", b"https://<host><base>", ROOT + b"/pub"),
        (PATH, b"Referer", b"http://<host>/namespaces/team/connectors/other/a", None),
        (PATH, b"Referer", b"http://<host>/", None),
        (HOST, b"Referer", b"http://<host>/../a", None),
        (HOST, b"Referer", b"http://elsewhere.example/a", None),
        (HOST, b"Referer", b"/a", None),
        (HOST, b"Referer", b"about:blank", None),
    ],
)
def test_t37_the_clients_own_address_is_the_tools_own_and_others_are_foreign(
    way: Way, name: bytes, sent: bytes, got: bytes | None
) -> None:
    as_sent = sent.replace(b"<base>", way.base).replace(b"<host>", way.host)
    assert way.sends(name, sent) == (as_sent if got is None else got)


# -- where tools copy from


COPIES = LOOKED_AT - METHOD_OVERRIDES - {b"destination", b"if", b"origin", b"referer", b"sec-websocket-protocol"}


VERSIONS = {b"x-versions-location", b"x-history-location"}


@pytest.mark.parametrize("name", sorted(COPIES | VERSIONS | {b"x-amz-rename-source", b"x-ms-file-rename-source"}))
def test_t37_a_source_below_the_prefix_passes_and_no_other_one(name: bytes) -> None:
    for inside in (b"/pub/a%20b", b"pub/a?versionId=1", ROOT + b"/pub/a"):
        assert HOST.sends(name, inside) == inside
        assert PATH_BARE.sends(name, inside) == inside
    for outside in (b"/private/key", b"public/a", b"/pub/../private/key", b"pub/%2e%2e/key", b"%2Fpub/a", b"//pub/a"):
        with pytest.raises(MessageError):
            HOST.sends(name, outside)
        assert HOST_BARE.sends(name, outside) == outside
    for foreign in (b"https://elsewhere.example/pub/a", b"http://tool.example:8443/pub/a", ROOT + b"/private/key"):
        with pytest.raises(MessageError):
            PATH.sends(name.upper().replace(b"-", b"_"), foreign)


# -- fields that say another path, or another method


@pytest.mark.parametrize("name", sorted(PATH_OVERRIDES))
@pytest.mark.parametrize("way", WAYS)
def test_t37_another_path_is_said_to_no_tool_behind_a_prefix(way: str, name: bytes) -> None:
    for spelled in (name, name.upper(), name.replace(b"-", b"_")):
        sent = WAYS[way].sends(spelled, b"/private/key")
        assert sent == (b"/private/key" if "no prefix" in way else None)


@pytest.mark.parametrize("name", sorted(METHOD_OVERRIDES))
def test_t06_another_method_passes_but_for_those_that_reflect(name: bytes) -> None:
    for method in (b"DELETE", b"PATCH", b"X-TRACER", b"TRACED", b""):
        assert HOST.sends(name, method) == method
    for spelled in (name, name.upper(), name.replace(b"-", b"_")):
        for method in (b"TRACE", b"trace", b'"TRACE"', b"GET, Trace", b"TRACK"):
            for way in WAYS.values():
                with pytest.raises(MessageError, match="TRACE is refused"):
                    way.sends(spelled, method)


PASSED = [
    *(b"Lock-Token", b"Content-Location", b"Location", b"X-Forwarded-Host", b"X-Original-Host", b"X-Host"),
    *(b"Forwarded", b"SOAPAction", b"Overwrite", b"Depth", b"Slug", b"Git-Protocol", b"Apply-To-Redirect-Ref"),
]


@pytest.mark.parametrize("name", PASSED)
def test_what_names_no_place_to_act_on_passes(name: bytes) -> None:
    for value in (b"http://tool.example/private/key", b"<http://tool.example/x>", b"host=other", b"T"):
        assert HOST.sends(name, value) == value


# -- whatever is sent


SNAPSHOTS = {manifest["spec"]["address"]: snapshot_of(manifest) for manifest in (PREFIXED, BARE)}
PIECES = [
    *(b"http://", b"https://", b"//", b"/", b"\\", b"\t", b" ", b";", b"?", b"#", b"@", b":", b"a", b"\xff"),
    *(OWN_HOST, SHARED, b"tool.example:8443", b"tool.example", b"evil.example", FORM, b"/pub", b"/private/key"),
    *(b"..", b".", b"%2e", b"%u002e", b"%2f", b"%5c", b"%25", b"%c2%a0", b"%0a", b"%00", b"\xc2\xa0"),
    *(b"<", b">", b"(", b")", b'["x"]', b"<urn:x>"),
]
VALUES = st.one_of(
    st.lists(st.sampled_from(PIECES), max_size=8).map(b"".join), st.binary(max_size=12).map(lambda raw: FORM + raw)
)
NAMES = st.sampled_from([b"Destination", b"If", b"X-Amz-Copy-Source", b"X_Original_Url", b"X-Rewrite-URL"])


def places(name: bytes, value: bytes) -> list[bytes]:
    """The URLs that a tool reads in a field."""
    return re.findall(rb"<([^<>]*)>[ \t]*\(", value) if name == b"If" else [value]


def leaves(place: bytes, prefix: bytes, origin: bytes) -> bool:
    """Whether some reader ends outside of the prefix: the naive way, one decoding after the other."""
    absolute = re.match(rb"((?:[A-Za-z][A-Za-z0-9+.-]*:)?[/\\]{2}[^/\\?#]*)(.*)", place, re.DOTALL)
    if absolute:
        if absolute[1].lower() != origin:
            return True
        place = absolute[2]
    for _ in range(5):
        path = re.split(rb"[?#]", place)[0].replace(b"\\", b"/")
        path = re.sub(rb"[\0-\x1f\x7f-\xa0\xc2]", b"", path)
        # A space within a name is a part of it, as in `. .`; around it readers may strip it.
        segments = [segment.partition(b";")[0].strip(b" ") for segment in path.split(b"/")]
        if b".." in segments or (prefix and not (b"/" + path.lstrip(b"/") + b"/").startswith(prefix + b"/")):
            return True
        place = unquote_to_bytes(re.sub(rb"%u00(..)", rb"%\1", place))
    return False


@settings(max_examples=600)
@given(st.sampled_from([SHARED, OWN_HOST]), st.sampled_from(sorted(SNAPSHOTS)), NAMES, VALUES)
@example(SHARED, PREFIXED["spec"]["address"], b"Destination", b"http://" + SHARED + FORM + b"/a")
@example(OWN_HOST, PREFIXED["spec"]["address"], b"Destination", ROOT + b"/pub/a")
@example(OWN_HOST, PREFIXED["spec"]["address"], b"If", b"</a> (<urn:x>) </b> ([x])")
def test_t37_no_accepted_request_says_a_place_outside(host: bytes, address: str, name: bytes, value: bytes) -> None:
    prefix = FORM if host == SHARED else b""
    head = request(prefix + b"/x", ((name, value.strip()),), host=host, method=b"COPY")
    forward = accepted(head, SNAPSHOTS[address])
    try:
        sent = outgoing(head, forward)
    except MessageError:
        return
    origin = forward.target.address.root
    for place in (place for field, text in sent.headers if field == name for place in places(name, text)):
        # Of an address without a prefix everything is inside, wherever a tool copies from.
        if name in (b"Destination", b"If") or forward.target.address.prefix:
            assert not leaves(place, forward.target.address.prefix, origin), (value, place)


def accepted(head: RequestHead, snapshot: Snapshot) -> Forward:
    verdict = judge(head, snapshot)
    assert verdict.forward is not None
    return verdict.forward


SEGMENT = st.text("ab.%2F~;=+ ", min_size=1, max_size=6).filter(lambda text: ".." not in text and "%" not in text)


@given(st.lists(SEGMENT, max_size=4), st.booleans(), st.sampled_from([HOST, PATH, HOST_BARE, PATH_BARE]))
def test_t37_a_place_below_the_connectors_address_is_always_found(parts: list[str], absolute: bool, way: Way) -> None:
    path = b"".join(b"/" + part.encode() for part in parts) or b"/"
    root = way.tool["spec"]["address"].rstrip("/").encode()
    sent = way.sends(b"Destination", (b"http://<host>" if absolute else b"") + b"<base>" + path)
    assert sent is not None
    mapped = root + path if absolute else root.removeprefix(ROOT).removeprefix(b"https://tool.example") + path
    assert sent == mapped


def test_the_fields_order_case_and_bytes_stay() -> None:
    fields: Headers = ((b"A", b"1"), (b"destination", b"/a"), (b"B", b"2"), (b"Referer", b"http://e.example/"))
    head = HOST.head(*fields)
    sent = outgoing(head, forward_of(head, PREFIXED)).headers
    assert sent == ((b"Host", ROOT[8:]), fields[0], (b"destination", b"/pub/a"), *fields[2:])
