"""HTTP/1.1 messages without I/O: heads on llhttp, body framing, trailers (RFC 9112)."""
