"""The console script `connectors`."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Mapping, Sequence

# Each is a module standalone/COMMAND.py with main(words, environment) -> exit code.
COMMANDS = {
    "serve": "run the proxy over a directory of manifests",
    "get": "show the Connectors or classes of a running proxy, with their status",
    "validate": "say what is wrong with manifests, and exit",
    "probe": "ask a Connector's tool now whether it is reachable and takes the credential, and show how",
    "demo": "clone and push through a Connector, end to end, and show what the tool saw",
}


def main(argv: Sequence[str] | None = None, environment: Mapping[str, str] | None = None) -> int:
    """Run one command. Returns its exit code; a usage error exits 2 as argparse does."""
    words = list(sys.argv[1:] if argv is None else argv)
    if not words or words[0] not in COMMANDS:
        return _usage(words)
    # Loaded by name, so that `get` does not wait for the proxy's imports.
    command = importlib.import_module(f"standalone.{words[0]}")
    try:
        code: int = command.main(words[1:], environment)
    except KeyboardInterrupt:
        return 130
    return code


def _usage(words: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(
        "connectors", description="A secretless, credential-injecting reverse proxy.", allow_abbrev=False
    )
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for name, text in COMMANDS.items():
        commands.add_parser(name, help=text)
    parser.parse_args(words)
    return 2
