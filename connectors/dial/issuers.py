"""Of two CAs of one name OpenSSL tries one; whether it was the wrong one shows in how it fails."""

from __future__ import annotations

import ssl

from connectors.dial.exchange_failure import ExchangeFailedError

_SIGNATURE = 7
"""X509_V_ERR_CERT_SIGNATURE_FAILURE of OpenSSL: there is an issuer of that name, and somebody else has signed."""


class WrongIssuerError(ExchangeFailedError):
    """There is no answer, since the issuer's name was right and its key was not."""


def is_wrong_issuer(error: Exception) -> bool:
    """Whether another CA of the same name might be the issuer."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return error.verify_code == _SIGNATURE
    return isinstance(error, WrongIssuerError)
