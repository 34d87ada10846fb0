from __future__ import annotations

from typing import Any

import pytest

from connectors.objects.feature_flags import FeatureFlags
from connectors.objects.violation import Severity
from connectors.sources.feature_flags import decode_flags


def test_strings_become_flags() -> None:
    data = {"enable-custom-ca-certs": "true", "enable-connector-proxy-permissions": "false"}
    assert decode_flags({"data": data}) == (FeatureFlags(enable_custom_ca_certs=True), ())
    assert decode_flags({}) == (FeatureFlags(), ())


@pytest.mark.parametrize("value", [True, "yes", "True", 1, ""])
def test_other_values_are_refused(value: Any) -> None:
    flags, (violation,) = decode_flags({"data": {"enable-custom-ca-certs": value}})
    assert flags is None
    assert violation.path == "data.enable-custom-ca-certs"


def test_data_must_be_a_mapping() -> None:
    assert decode_flags({"data": []})[0] is None


def test_a_flag_of_another_component_is_a_warning() -> None:
    flags, (violation,) = decode_flags({"data": {"enable-multi-connector": "true"}})
    assert flags == FeatureFlags()
    assert violation.severity is Severity.WARNING
