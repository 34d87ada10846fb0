"""`connectors validate`: every violation in the manifests, one a line; what the proxy would refuse is found before."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from connectors.inventory import build
from connectors.objects.violation import Severity
from connectors.process.clock import timestamp
from connectors.process.logs import escaped
from connectors.sources.directory import DirectorySource
from standalone.findings import findings
from standalone.paths import path_problem

INVALID, UNREADABLE = 1, 2


def main(words: Sequence[str], environment: Mapping[str, str] | None = None) -> int:
    """Print violations to standard output and warnings to standard error.

    Returns 1 if there is a violation, 2 if something could not be read, else 0. A Secret
    that the manifests lack is not a violation: it may be kept elsewhere.
    """
    parser = argparse.ArgumentParser("connectors validate", description=__doc__, allow_abbrev=False)
    parser.add_argument("paths", nargs="+", metavar="PATH", type=Path, help="a directory of manifests, or one file")
    paths = parser.parse_args(words).paths
    if problem := path_problem(paths):
        print(f"error: {escaped(problem)}", file=sys.stderr)
        return UNREADABLE
    loaded = DirectorySource(paths, timestamp).load()
    code = 0
    for found in findings(loaded, build(loaded.objects), secrets_elsewhere=True):
        if found in loaded.unreadable:
            continue
        if found.severity is Severity.WARNING:
            print(f"warning: {escaped(str(found))}", file=sys.stderr)
        else:
            print(escaped(str(found)))
            code = INVALID
    for found in loaded.unreadable:
        print(f"error: {escaped(str(found))}", file=sys.stderr)
        code = UNREADABLE
    return code
