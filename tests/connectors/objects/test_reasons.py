from __future__ import annotations

from connectors.objects.reasons import HTTP_STATUS, Reason

CONTRACT = {
    "ConnectorNotFound": 404,
    "Unauthenticated": 401,
    "Forbidden": 403,
    "ConnectorInvalid": 503,
    "CredentialUnavailable": 503,
    "AddressNotDeclared": 400,
    "TargetDenied": 403,
    "LoopDetected": 508,
    "UpstreamUnreachable": 502,
    "UpstreamTLS": 502,
    "UpstreamProtocol": 502,
    "UpstreamTimeout": 504,
    "RequestMalformed": 400,
    "HeadTooLarge": 431,
    "URITooLong": 414,
    "MethodNotAllowed": 405,
    "TooManyRequests": 429,
    "ShuttingDown": 503,
}
"""The table of the contract, "What the proxy answers itself"."""

BEYOND = {"AuthenticationUnavailable": 503}
"""What the contract has no word for: a 401 would make clients drop the login that they have stored."""


def test_the_table_is_total_and_says_what_the_contract_says() -> None:
    assert {reason.value: status.value for reason, status in HTTP_STATUS.items()} == CONTRACT | BEYOND
    assert set(HTTP_STATUS) == set(Reason)
