"""The proxy at its edges: what the client sent, what the tool saw, what the client got, byte for byte."""
