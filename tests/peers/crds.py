"""deploy/crds on a real API server, without kubectl."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.peers.api_server import ApiServer, ApiServerError
from tests.peers.tools import LACKING

FOLDER = Path(__file__).resolve().parents[2] / "deploy" / "crds"
DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
SECONDS = 30.0
POLL_SECONDS = 0.05
UNFIT = (
    f"{LACKING} kube-apiserver: the one in KUBEBUILDER_ASSETS cannot store custom resources (1.20 built with Go 1.18 "
    "or newer); take one as its project released it, or built with modern-go/reflect2 1.0.2"
)


def install_crds(server: ApiServer) -> None:
    """Make the server know our kinds; returns when it serves them. Safe to do again; skips if it is unfit."""
    for file in ("connectors.yaml", "connectorclasses.yaml"):
        install_crd(server, yaml.safe_load((FOLDER / file).read_text(encoding="utf-8")))
    require_custom_resources(server)


def require_custom_resources(server: ApiServer) -> None:
    """Skip the test where the server, which must serve our kinds by now, ends or refuses when one is written.

    Some builds of 1.20 end in a fault of the library that walks maps, and take an empty string for null.
    """
    blank = {"apiVersion": "connectors.alauda.io/v1alpha1", "kind": "Connector", "metadata": {"name": "tried"}}
    body = {**blank, "spec": {"address": ""}}
    path = "/apis/connectors.alauda.io/v1alpha1/namespaces/default/connectors?dryRun=All"
    try:
        fit = server.ask("POST", path, body).status == 201
    except OSError:
        server.stop_api_server()
        server.start_api_server()
        fit = False
    if not fit:
        pytest.skip(UNFIT)


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
