"""Both processes against a real API server, as the ServiceAccounts of deploy/, with traffic through the proxy."""
