"""Conditions and status of our kinds (Kubernetes API conventions; docs/reasons.md)."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct


class ConditionType(StrEnum):
    """The condition types of a Connector in the order in which its status lists them; those of a class alone first."""

    API_READY = "APIReady"
    PROXY_READY = "ProxyReady"

    CONNECTOR_CLASS_READY = "ConnectorClassReady"
    SECRET_READY = "SecretReady"  # noqa: S105 - a name
    LIVENESS_READY = "LivenessReady"
    AUTH_READY = "AuthReady"
    PROXY_SERVICE_READY = "ProxyServiceReady"
    CA_CERT_READY = "CACertReady"
    READY = "Ready"


class ConditionStatus(StrEnum):
    """metav1.ConditionStatus."""

    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"


class Condition(Struct, frozen=True, rename="camel", omit_defaults=True, kw_only=True):
    """One condition. `severity` is only ever `Info`, and such a condition does not count towards Ready."""

    type: ConditionType
    status: ConditionStatus
    reason: str = ""
    message: str = ""
    severity: str = ""
    last_transition_time: str = ""
    last_probe_time: str = ""


class HttpAddress(Struct, frozen=True, rename="camel", omit_defaults=True, kw_only=True):
    """A Knative Addressable, of which only the URL is used."""

    url: str


class ProxyStatus(Struct, frozen=True, rename="camel", omit_defaults=True, kw_only=True):
    """status.proxy."""

    http_address: HttpAddress


class ApiStatus(Struct, frozen=True, rename="camel", omit_defaults=True, kw_only=True):
    """status.api."""

    path: str


class ConnectorStatus(Struct, frozen=True, rename="camel", omit_defaults=True, kw_only=True):
    """status of a Connector; `proxy` is absent where the class has no proxy."""

    observed_generation: int = 0
    conditions: tuple[Condition, ...] = ()
    proxy: ProxyStatus | None = None
    api: ApiStatus | None = None

    def condition(self, kind: ConditionType) -> Condition | None:
        """The condition of that type."""
        return next((condition for condition in self.conditions if condition.type is kind), None)


class ClassApiStatus(Struct, frozen=True, rename="camel", omit_defaults=True, kw_only=True):
    """status.api of a class."""

    address: HttpAddress


class ConnectorClassStatus(Struct, frozen=True, rename="camel", omit_defaults=True, kw_only=True):
    """status of a ConnectorClass: APIReady, ProxyReady, Ready; where its proxy and API are, if that is known."""

    observed_generation: int = 0
    conditions: tuple[Condition, ...] = ()
    proxy: ProxyStatus | None = None
    api: ClassApiStatus | None = None
