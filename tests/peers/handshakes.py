"""A TLS client that looks at what it is shown."""

from __future__ import annotations

import asyncio
import ssl


def client_context(bundle: bytes) -> ssl.SSLContext:
    return ssl.create_default_context(cadata=bundle.decode())


async def shown(port: int, bundle: bytes = b"", version: ssl.TLSVersion | None = None) -> str:
    """The certificate that a new connection is shown, in PEM; verified against `bundle` where one is given.

    Raises:
        OSError: ssl.SSLError where the handshake fails.
    """
    if bundle:
        context = client_context(bundle)
    else:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if version is not None:
        context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
        context.maximum_version = version
        context.set_ciphers("ALL:@SECLEVEL=0")
    _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
    try:
        tls = writer.get_extra_info("ssl_object")
        return ssl.DER_cert_to_PEM_cert(tls.getpeercert(binary_form=True))
    finally:
        writer.transport.abort()
