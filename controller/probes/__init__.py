"""Probes: is the tool reachable, is the credential valid. request -> client -> verdict; the prober says when."""
