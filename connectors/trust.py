"""Whom the proxy trusts, as an ssl.SSLContext. One function for traffic and probes (threat 23)."""

from __future__ import annotations

import logging
import ssl
from dataclasses import dataclass
from pathlib import Path

import certifi

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Trust:
    """A trust pool in use. `generation` names it: connections of another generation are never reused."""

    generation: int
    context: ssl.SSLContext


def system_trust(generation: int = 1) -> Trust:
    """The operating system's store (OpenSSL honours SSL_CERT_FILE and SSL_CERT_DIR), certifi where there is none.

    Always verifies chain and host name; there is no switch for less (threat 22). Takes about 35 ms: do it once.
    """
    context = ssl.create_default_context()
    if not _has_system_store():
        logger.warning("this machine has no store of CA certificates where OpenSSL looks: using those of certifi")
        context.load_verify_locations(cafile=certifi.where())
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    return Trust(generation, context)


def _has_system_store() -> bool:
    paths = ssl.get_default_verify_paths()
    file_found = paths.cafile is not None and Path(paths.cafile).is_file()
    folder_found = paths.capath is not None and any(Path(paths.capath).iterdir())
    return file_found or folder_found
