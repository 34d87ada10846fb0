"""I/O: where objects come from, and the store that swaps the current Snapshot."""
