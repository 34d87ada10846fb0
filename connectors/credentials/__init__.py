"""Pure: one credential scheme a file, one literal registry, one function that applies a credential to a head."""
