"""deploy/crds on a real API server, without kubectl."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import yaml

from tests.peers.api_server import ApiServer, ApiServerError

FOLDER = Path(__file__).resolve().parents[2] / "deploy" / "crds"
DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
SECONDS = 30.0
POLL_SECONDS = 0.05


def install_crds(server: ApiServer) -> None:
    """Make the server know our kinds; returns when it serves them. Safe to do again."""
    for file in ("connectors.yaml", "connectorclasses.yaml"):
        install_crd(server, yaml.safe_load((FOLDER / file).read_text(encoding="utf-8")))


def install_crd(server: ApiServer, definition: dict[str, Any]) -> None:
    """Make the server know one kind; returns when it serves it.

    Raises:
        ApiServerError: it refused the definition, or did not serve the kind in time.
    """
    answer = server.ask("POST", DEFINITIONS, definition)
    if answer.status not in (201, 409):
        raise ApiServerError(f"{definition['metadata']['name']}: {answer.body.get('message')}")
    spec = definition["spec"]
    # The list, not the condition Established: the server's handlers follow the condition after a moment.
    objects = f"/apis/{spec['group']}/{spec['versions'][0]['name']}/{spec['names']['plural']}"
    end = time.monotonic() + SECONDS
    while server.ask("GET", objects).status != 200:
        if time.monotonic() > end:
            raise ApiServerError(f"{definition['metadata']['name']} is not served after {SECONDS:g} s")
        time.sleep(POLL_SECONDS)
