"""What proxy and probes share on the way to a tool: names -> addresses, what may be dialled, why it failed."""
