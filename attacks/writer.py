"""A tenant who writes Connectors through the API server, which asks the webhook: prints what it got, as neighbour.py.

It writes for nothing (`dryRun`), so nothing is left behind; the webhook is asked all the same.
"""

from __future__ import annotations

import argparse
import http.client
import json
import signal
import ssl
import threading

import msgspec

from attacks.neighbour import LIVEZ, PATIENCE, Asked, Tally, fresh

PATH = "/apis/connectors.alauda.io/v1alpha1/namespaces/default/connectors?dryRun=All"
PAUSE = 0.05
VALID = json.dumps(
    {
        "apiVersion": "connectors.alauda.io/v1alpha1",
        "kind": "Connector",
        "metadata": {"name": "valid"},
        "spec": {"connectorClassName": "git", "address": "https://tool.example"},
    }
)


def writing(server: str, authority: str, token: str, tally: Tally, ended: threading.Event) -> None:
    """Write again and again until told to end."""
    context = ssl.create_default_context(cafile=authority)
    connection = http.client.HTTPSConnection(server.removeprefix("https://"), timeout=PATIENCE, context=context)
    fields = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}

    def once() -> int:
        connection.request("POST", PATH, VALID, fields)
        answer = connection.getresponse()
        answer.read()
        return http.client.OK if answer.status == http.client.CREATED else answer.status

    tally.one("write", once)
    print("beating", flush=True)
    while not ended.wait(PAUSE):
        tally.one("write", once)


def main() -> None:
    """Write until SIGTERM."""
    parser = argparse.ArgumentParser("python -m attacks.writer", description=__doc__)
    for name in ("server", "authority", "token", "admin"):
        parser.add_argument(name)
    given = parser.parse_args()
    ended, tally = threading.Event(), Tally()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    live = Asked(int(given.admin.rpartition(":")[2]), given.admin.removeprefix("http://"), path="/livez")
    looking = threading.Thread(
        target=fresh("/livez", LIVEZ), args=(live, tally, ended, threading.Barrier(1)), daemon=True
    )
    looking.start()
    writing(given.server, given.authority, given.token, tally, ended)
    looking.join()
    print(f"got: {msgspec.json.encode(tally.answers()).decode()}", flush=True)


if __name__ == "__main__":
    main()
