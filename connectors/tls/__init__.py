"""TLS on both sides: whose certificates are believed, toward tools, and which ones this end shows, to either side."""
