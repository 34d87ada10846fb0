"""The only code that talks to the Kubernetes API: requests, watches, caches. It knows no domain word but names."""
