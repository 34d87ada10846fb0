"""Requests that mean something else to the tool than to the proxy (threats 11, 37, 38, 39): what did the tool see?"""

from __future__ import annotations

import asyncio
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Sequence
from dataclasses import dataclass

from attacks.attack import Attack, Played, Scene
from attacks.crowd import STATUS, ask

TOKEN = "eyJhbGciOi.attackers.token-of-some_length"  # noqa: S105 - made up
_BASIC = b64encode(f"any:{TOKEN}".encode()).decode()
_CODED = b64encode(TOKEN.encode()).decode()
_PROTOCOL = "base64url.bearer.authorization.k8s.io." + urlsafe_b64encode(TOKEN.encode()).decode().rstrip("=")
KNOWN = f"Authorization: Bearer {TOKEN}"


@dataclass(frozen=True, slots=True)
class Sent:
    """One request: its path, fields and method. `refused`: it must be, and the tool must not see it."""

    path: str = "/a"
    fields: tuple[str, ...] = ()
    method: str = "GET"
    refused: bool = True


async def send(scene: Scene, table: Sequence[Sent], *always: str, traces: Sequence[str] = ()) -> Played:
    """All of them, round after round; `traces` are what the tool must not see of those that it gets."""
    end, rounds, faults = scene.end, 0, set[str]()
    while asyncio.get_running_loop().time() < end or not rounds:
        for one in table:
            await scene.hostile.seen()
            request = scene.request(one.path, *always, *one.fields, "Connection: close", method=one.method)
            status = (await ask(scene, request))[STATUS].decode("ascii", "replace")
            heads = await scene.hostile.seen()
            what = f"{one.method} {one.path} {one.fields}"
            if one.refused and (heads or not status.startswith("4")):
                faults.add(f"{what} was answered with {status or 'nothing'}, and the tool saw {len(heads)} requests")
            if not one.refused and not heads:
                faults.add(f"{what} did not come to the tool: {status}")
            if any(trace in head for trace in traces for head in heads):
                faults.add(f"{what} brought to the tool what it must not see")
        rounds += 1
    return Played(f"{rounds * len(table):,} requests of {len(table)} kinds", sorted(faults))


def copies(scene: Scene) -> list[Sent]:
    """Fields and paths that lead past the address's prefix, /git."""
    tool = scene.hostile.address
    elsewhere = [
        f"{tool}/private/key", "/../private/key", "http://elsewhere.example/b", f"{tool}/git/../private",
        f"{tool}/git/%2e%2e/private", f"{tool}/git%2f..%2fprivate", f"{tool}/gitx", "//elsewhere.example/git/b", "",
    ]  # fmt: skip
    made = [Sent("/a", (f"Destination: {place}",), "COPY") for place in elsewhere]
    made += [Sent("/a", (f"If: <{tool}/private/key> (<urn:x>)",), "PUT"), Sent("/a", ("If: nonsense",), "PUT")]
    made += [Sent("/a", ("X-HTTP-Method-Override: TRACE",)), Sent("/a", ("x_method_override: trace",))]
    dots = ("%u002e%u002e", "..%c2%a0", "..%0a", "%0d..", ".%01.", "..", "%2e%2e", "%252e%252e/..", "..;x=1")
    made += [Sent(f"/a/{dot}/{dot}/private") for dot in dots]
    return [*made, Sent("/a", ("Destination: /b",), "COPY", refused=False)]


async def paths(scene: Scene) -> Played:
    """None of them comes to the tool, and no hidden path does."""
    hidden = [Sent("/a", (f"{name}: /private/key",), refused=False) for name in ("X-Original-URL", "X-Rewrite-URL")]
    return await send(scene, [*copies(scene), *hidden], traces=("/private",))


WEB = (
    Sent(fields=("Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: cors", "Origin: http://evil.example")),
    Sent(fields=("Sec-Fetch-Site: same-site", "Sec-Fetch-Mode: no-cors")),
    Sent(fields=("Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: iframe")),
    Sent(fields=("Origin: http://evil.example",), method="POST"),
    Sent(fields=("Origin: null",), method="POST"),
    Sent(fields=("Origin: http://evil.example", "Connection: Upgrade", "Upgrade: websocket")),
    Sent(fields=("Sec-Fetch-Site: none", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document"), refused=False),
    Sent(refused=False),
)


async def web_pages(scene: Scene) -> Played:
    """As a browser sends them for a page of another origin, by the path form under a name that leads here too."""
    return await send(scene, WEB)


GUISES = tuple(
    Sent(path, fields, refused=False)
    for path in ("/a", f"/a?access_token={TOKEN}", f"/a?t={_BASIC.rstrip('=')}")
    for fields in (
        (),
        (f"X-Forwarded-Authorization: Basic {_BASIC}",),
        (f"X-Auth: {_CODED}",),
        (f"Cookie: login={_CODED.replace('=', '%3D')}",),
        (f"Sec-WebSocket-Protocol: {_PROTOCOL}",),
    )
)


async def guises(scene: Scene) -> Played:
    """The caller's token in other clothes beside itself."""
    return await send(scene, GUISES, KNOWN, traces=(TOKEN, _BASIC.rstrip("="), _CODED.rstrip("="), _PROTOCOL))


FRAMING = (
    Sent(fields=("Content-Length: 010",), method="POST"),
    Sent(fields=("Content-Length: +10",), method="POST"),
    Sent(fields=("Content-Length: 0x10",), method="POST"),
    Sent(fields=("Content-Length: 1", "Content-Length: 2"), method="POST"),
    Sent(fields=("Content-Length: 1", "Transfer-Encoding: chunked"), method="POST"),
    Sent(fields=("Transfer-Encoding: xchunked",), method="POST"),
    Sent(fields=("Transfer-Encoding: chunked, identity",), method="POST"),
    Sent(fields=("Transfer-Encoding : chunked",), method="POST"),
    Sent(fields=("X: a\rb",)),
    Sent(fields=("X: a\0b",)),
    Sent(fields=("Host: other",)),
)


async def framing(scene: Scene) -> Played:
    """Lengths that two readers may read in two ways, and answers with a body that has none."""
    played = await send(scene, FRAMING)
    faults = list(played.faults)
    for path in ("/body-of-204", "/body-of-304"):
        got = await ask(scene, scene.request(path) + scene.request("/", "Connection: close"))
        head = got.partition(b"\r\n\r\n")[0].lower()
        if b"transfer-encoding" in head or b"bad" in got:
            faults.append(f"{path[1:]} came to the client with a body, or the promise of one")
    return Played(played.done, faults)


ATTACKS = (
    Attack(
        "paths in fields",
        37,
        "`COPY` with a `Destination` outside of the address's prefix, `If`, `X-Original-URL`, odd dot segments.",
        "a file outside was overwritten with the credential",
        paths,
        quick=True,
    ),
    Attack(
        "web pages",
        38,
        "Requests as a browser sends them for a page of another origin, WebSockets included.",
        "read, written, and a WebSocket opened",
        web_pages,
        quick=True,
    ),
    Attack(
        "tokens in other clothes",
        39,
        "The caller's token as Basic, base64, a cookie, a query parameter, a WebSocket protocol, beside itself.",
        "the tool saw it",
        guises,
        options=("--client-auth", "token"),
        token=TOKEN,
        quick=True,
    ),
    Attack(
        "framing",
        11,
        "`Content-Length: 010` and its kin; a 204 and a 304 with `Transfer-Encoding` and a body.",
        "passed on",
        framing,
        quick=True,
    ),
)
