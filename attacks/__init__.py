"""Attacks on a real process, beside a well-behaved client of another tenant: `make attack` (docs/security-tests.md)."""
