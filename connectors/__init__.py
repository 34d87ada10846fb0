"""What the proxy and the controller both need. Imports neither of them."""
