"""Who is measured: one module a proxy, each of which starts it for a Setup. registry.py lists them."""
