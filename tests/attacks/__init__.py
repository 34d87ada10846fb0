"""What the benchmark reads out of other programs."""
