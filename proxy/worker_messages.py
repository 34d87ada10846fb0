"""What the process that was started and its workers say to each other: kinds of frames, and a worker's settings."""

from __future__ import annotations

from dataclasses import fields, replace
from enum import IntEnum
from pathlib import Path
from typing import Any, get_type_hints

import msgspec
from msgspec import Struct

from connectors.dial.dial_settings import DialSettings
from connectors.dial.egress_settings import EgressSettings
from connectors.dial.guard import DialGuard, parse_networks
from connectors.kube.access import Access
from connectors.objects.addresses import parse_address
from connectors.process.frames import Frames
from connectors.process.logs import Logging
from connectors.tls.pool import TlsVersion
from proxy.settings import ProxySettings


class FrameKind(IntEnum):
    """Kinds of frames. To a worker: SETTINGS first, then the others; from it: SERVED, FAMILY, COUNTED."""

    SETTINGS = 1
    # A part of what changed (connectors/sources/handover.py).
    PIECE = 2
    # All parts are there: serve them. The payload is a number, which SERVED answers with.
    SERVE = 3
    SERVED = 4
    # Tell your metrics. The answer is some FAMILY and one COUNTED.
    COUNT = 5
    FAMILY = 6
    COUNTED = 7
    # Go on in the file that bears the audit log's name now.
    REOPEN = 8
    DRAIN = 9
    # Cut off what still runs.
    END = 10


class WorkerSettingsError(Exception):
    """What came first are not settings of this version."""


class WorkerSettings(Struct, frozen=True, kw_only=True):
    """All that a worker must know to serve. `proxy` is its share (proxy/settings.py: share_of).

    `number` is its own, from 0. `listeners` and `counts` are descriptors that it has inherited
    (connectors/process/listening.py). `access` is the way to the API server that is asked about callers, None where
    none is.
    """

    number: int
    listeners: tuple[int, ...]
    counts: int
    logging: Logging
    proxy: ProxySettings
    access: Access | None = None


class _Dialing(Struct, frozen=True):
    """DialSettings, with networks and addresses as texts."""

    allow: tuple[str, ...]
    deny: tuple[str, ...]
    loopback: bool
    dns_cache: float
    lookups: int
    minimum: TlsVersion
    proxies: tuple[tuple[str, str], ...]
    files: tuple[tuple[str, str], ...]
    secrets: tuple[tuple[str, str], ...]
    no_proxy: str


class _Wire(Struct, frozen=True):
    number: int
    listeners: tuple[int, ...]
    counts: int
    logging: Logging
    proxy: dict[str, msgspec.Raw]
    dialing: _Dialing
    access: Access | None


_PLAIN_FIELDS = {field.name for field in fields(ProxySettings)} - {"dialing"}
_TYPES = get_type_hints(ProxySettings)


def encode_settings(settings: WorkerSettings) -> bytes:
    """The payload of SETTINGS."""
    proxy, guard, egress = settings.proxy, settings.proxy.dialing.guard, settings.proxy.dialing.egress
    wire = _Wire(
        settings.number,
        settings.listeners,
        settings.counts,
        settings.logging,
        {name: msgspec.Raw(msgspec.json.encode(getattr(proxy, name))) for name in sorted(_PLAIN_FIELDS)},
        _Dialing(
            tuple(map(str, guard.allow)),
            tuple(map(str, guard.deny)),
            guard.loopback,
            proxy.dialing.dns_cache,
            proxy.dialing.lookups,
            proxy.dialing.minimum,
            tuple((name, str(address)) for name, address in egress.proxies),
            egress.files,
            egress.secrets,
            egress.no_proxy,
        ),
        settings.access,
    )
    return msgspec.json.encode(wire, enc_hook=str)


def decode_settings(payload: bytes) -> WorkerSettings:
    """What `encode_settings` was given.

    Raises:
        WorkerSettingsError: it is something else.
    """
    try:
        wire = msgspec.json.decode(payload, type=_Wire, dec_hook=_path)
        plain = {name: msgspec.json.decode(raw, type=_TYPES[name]) for name, raw in wire.proxy.items()}
        dialing = DialSettings(
            DialGuard(
                parse_networks(",".join(wire.dialing.allow)),
                parse_networks(",".join(wire.dialing.deny)),
                wire.dialing.loopback,
            ),
            wire.dialing.dns_cache,
            wire.dialing.lookups,
            wire.dialing.minimum,
            EgressSettings(
                tuple((name, parse_address(url)) for name, url in wire.dialing.proxies),
                wire.dialing.files,
                wire.dialing.no_proxy,
                wire.dialing.secrets,
            ),
        )
        proxy = replace(ProxySettings(), **plain, dialing=dialing)
    except (msgspec.DecodeError, UnicodeDecodeError, ValueError, KeyError):
        raise WorkerSettingsError("what came first are not settings of this version") from None
    return WorkerSettings(
        number=wire.number,
        listeners=wire.listeners,
        counts=wire.counts,
        logging=wire.logging,
        proxy=proxy,
        access=wire.access,
    )


def number_of(payload: bytes) -> int:
    """The number in the payload of SERVE or SERVED.

    Raises:
        ValueError: it is none.
    """
    return int(payload)


def send_number(frames: Frames, kind: FrameKind, number: int) -> None:
    """Send SERVE or SERVED."""
    frames.send(kind, b"%d" % number)


def _path(kind: type, value: Any) -> Path:
    if kind is not Path:
        raise ValueError("no type of these settings")
    return Path(value)
