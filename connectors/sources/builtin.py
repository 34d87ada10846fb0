"""The built-in ConnectorClasses: package data, read by the same parser as everybody else's."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import resources

from connectors.sources.manifests import Manifest, read_manifests
from connectors.sources.problem import Identity


def builtin_classes() -> Mapping[Identity, Manifest]:
    """The classes of connectors/classes/*.yaml."""
    files = sorted(resources.files("connectors").joinpath("classes").iterdir(), key=lambda file: file.name)
    manifests = (read_manifests(file.read_bytes()) for file in files if file.name.endswith(".yaml"))
    return {entry.identity: entry for found in manifests for entry in found.entries}
