"""What runs within the process that is attacked: a stopwatch."""
