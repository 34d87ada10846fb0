"""Feature flags of ConfigMap connectors-config."""

from __future__ import annotations

from msgspec import Struct

CONFIG_MAP_NAME = "connectors-config"


class FeatureFlags(Struct, frozen=True, rename="kebab", kw_only=True):
    """The flags this version reads, all off by default; in the ConfigMap they are the strings true and false."""

    enable_connector_proxy_permissions: bool = False
    enable_custom_ca_certs: bool = False
