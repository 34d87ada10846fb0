"""Work on a peer's bytes that holds the loop (threat 31): heads and bodies of a hostile tool, manifests of a tenant."""

from __future__ import annotations

import asyncio
from collections import Counter

from attacks.attack import Attack, Played, Scene
from attacks.crowd import crowd, hammer, stay, told
from tests.peers.manifests import auth, basic_auth, connector, connector_class, write

CLIENTS = 8
CLOSE = "Connection: close"
# As long as a request-target may be, since each reference of the answer is resolved against it; and so that an answer
# with as many references as are allowed is just not too long.
DEEP, MIDDLE = "/" + "d/" * 8000, "/" + "d/" * 100
FILE = 480 * 1024
TEMPLATE = 4000


async def references(scene: Scene) -> Played:
    """Heads full of addresses, behind a short path and the longest one; some are within the limits."""
    counted: Counter[str] = Counter()
    paths = [deep + last for deep in ("/", MIDDLE, DEEP) for last in ("references", "allowed", "locations")]
    requests = [scene.request(path, CLOSE) for path in paths]
    for statuses in await asyncio.gather(*(hammer(scene, request, CLIENTS // 2) for request in requests)):
        counted += statuses
    return Played(f"{sum(counted.values()):,} requests: {told(counted)}")


async def interim_heads(scene: Scene) -> Played:
    """99 interim heads, each of as many addresses as are rewritten, before each answer."""
    statuses = await hammer(scene, scene.request(MIDDLE + "interim", CLOSE), CLIENTS)
    return Played(f"{sum(statuses.values()):,} requests: {told(statuses)}")


async def unending_heads(scene: Scene) -> Played:
    """A head of 60 kB that does not end, from the tool."""
    count = scene.scale.connections // 4
    async with crowd(scene, count, scene.request("/unending")) as made:
        await stay(scene.end)
    return Played(f"{len(made.transports):,} requests at once, each held by such a head")


async def chunks(scene: Scene) -> Played:
    """Bodies in chunks of one byte, down and up."""
    body = b"1\r\nx\r\n" * 100_000 + b"0\r\n\r\n"
    upload = scene.request("/up", CLOSE, "Transfer-Encoding: chunked", method="POST") + body
    down, up = await asyncio.gather(
        hammer(scene, scene.request("/chunks", CLOSE), CLIENTS), hammer(scene, upload, CLIENTS)
    )
    return Played(f"{sum(down.values()):,} downloads of 400,000 chunks, {sum(up.values()):,} uploads of 100,000")


async def manifests(scene: Scene) -> Played:
    """Files that are expensive to read, and a class of expensive templates and checks, each changed again and again."""
    texts = [
        "a: 59" + ":59" * (FILE // 3),
        "a: 59" + ":59" * (FILE // 3) + ".5",
        "".join(" " * depth + "k" * 1000 + ":\n" for depth in range(60)) + (" " * 61 + "a: 1\n") * (FILE // 66),
        "kind: List\nitems:\n" + "- {a: 1, a: 1}\n" * 3000,
        "a: &a {" + "b: 1, c: 1, " * 100 + "}\nd:\n" + "- {<<: *a}\n" * (FILE // 11),
        "a: " + "[" * (FILE // 2),
    ]
    end, rounds = scene.end, 0
    while asyncio.get_running_loop().time() < end:
        for number, text in enumerate(texts):
            await asyncio.to_thread((scene.manifests / f"evil-{number}.yaml").write_text, f"{text}\n# {rounds}\n")
        await asyncio.to_thread(write, scene.manifests, *bombs(rounds), file="bombs.yaml")
        rounds += 1
        await asyncio.sleep(0.5)
    for path in scene.manifests.glob("evil-*.yaml"):
        path.unlink()
    (scene.manifests / "bombs.yaml").unlink()
    return Played(f"{rounds} times {len(texts)} files of up to {FILE // 1024} KiB, and a class with 20 Connectors")


def bombs(number: int) -> list[dict[str, object]]:
    """A class whose template and checks take as long as they may, and Connectors that render it."""
    inner = "{{range $.Secret.StringData}}{{$x := urlParse $.Connector.Spec.Address}}{{end}}"
    template = "{{range .Secret.StringData}}" + inner * ((TEMPLATE - 40) // len(inner)) + "{{end}}" + str(number)
    check = "[1].exists(x,x==1)&&" * (TEMPLATE // 21) + "true"
    kind = {
        "name": "bomb",
        "secretType": "kubernetes.io/basic-auth",
        "generator": {"headers": [{"name": "X-Bomb", "value": template}]},
    }
    probe = {"http": {"path": "/", "response": {"cel": check}}}
    made = [connector_class("bomb", [kind], livenessProbe=probe)]
    for each in range(20):
        name = f"bomb-{each}"
        made += [
            connector(name, "http://127.0.0.1:1/" + "a/" * 1000, "bomb", namespace="loud", auth=auth("bomb", name)),
            basic_auth(name, "u" * 1000, f"p{number}" * 100, namespace="loud"),
        ]
    return made


ATTACKS = (
    Attack(
        "references",
        31,
        "A tool answers with 60 kB of `Link: <../>,<../>,…`, with as many addresses as are rewritten, and with 120 "
        "times `Location: ..`, behind paths of up to 16 KiB.",
        "7,800 ms of CPU in one piece (16 KiB of path: 28,700)",
        references,
        quick=True,
    ),
    Attack(
        "interim heads",
        31,
        "A tool sends 99 interim heads full of addresses before each answer.",
        "6,800 ms of CPU in one piece",
        interim_heads,
        quick=True,
    ),
    Attack(
        "unending heads",
        31,
        "A tool begins heads of 60 kB and does not end them.",
        "1.1 ms of CPU for each look at one of them",
        unending_heads,
    ),
    Attack(
        "chunks of one byte",
        31,
        "A tool answers in chunks of one byte, and clients send such bodies.",
        "seconds of CPU in one piece",
        chunks,
    ),
    Attack(
        "manifests",
        31,
        "Manifests of sexagesimal integers, merged keys, duplicate keys and brackets, and a class of expensive "
        "templates and CEL, change twice a second.",
        "5,850 ms of CPU in one piece; the watch ended",
        manifests,
    ),
)
