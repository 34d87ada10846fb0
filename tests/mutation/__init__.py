"""Mutations of what is remembered: each takes one clause of a promise away, and tests must notice (`make mutate`)."""
