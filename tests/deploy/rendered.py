"""What kustomize makes of deploy/ and its components."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import yaml

from tests.deploy.crds import ROOT
from tests.peers.kubectl import Kubectl

DEPLOY = ROOT / "deploy"
COMPONENTS = ("cert-manager", "dual-stack", "ha", "monitoring")
Manifest = dict[str, Any]


def render(kubectl: Kubectl, folder: Path) -> list[Manifest]:
    """The objects of a kustomization."""
    return list(yaml.safe_load_all(kubectl.run("kustomize", str(folder)).stdout))


def overlay(folder: Path, text: str = "", components: tuple[str, ...] = COMPONENTS) -> Path:
    """A kustomization on top of deploy/ as an operator would write it: `text`, or the base with these components."""
    folder.mkdir(parents=True, exist_ok=True)
    # kustomize takes no absolute paths.
    base = os.path.relpath(DEPLOY, folder)
    content = text.replace("path/to/deploy", base) or yaml.safe_dump(
        {
            "apiVersion": "kustomize.config.k8s.io/v1beta1",
            "kind": "Kustomization",
            "resources": [base],
            "components": [f"{base}/components/{name}" for name in components],
        }
    )
    (folder / "kustomization.yaml").write_text(content, encoding="utf-8")
    return folder


def only(objects: list[Manifest], kind: str, name: str) -> Manifest:
    """The one object of that kind and name."""
    (found,) = (item for item in objects if (item["kind"], item["metadata"]["name"]) == (kind, name))
    return found


def of_kind(objects: list[Manifest], kind: str) -> dict[str, Manifest]:
    """Name -> object."""
    return {item["metadata"]["name"]: item for item in objects if item["kind"] == kind}
