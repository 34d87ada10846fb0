"""The documentation against the code: what it names exists, what exists is named, what it shows works."""
