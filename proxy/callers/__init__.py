"""Who is calling, and may it use this Connector. All pure but kubernetes, which asks the API server and waits."""
