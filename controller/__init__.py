"""The control plane: Services, status, probes, admission."""
