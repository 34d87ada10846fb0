"""Real clients and real tools around a real `connectors serve` process."""
