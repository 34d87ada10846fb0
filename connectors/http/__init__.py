"""HTTP/1.1 messages without I/O: heads on llhttp, fields, body framing, targets (RFC 9110, RFC 9112)."""
