"""What is measured of this proxy alone: idle clients, many Connectors, changes while it serves."""
