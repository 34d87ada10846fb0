"""Pure values: Connector, ConnectorClass, Secret (a type that cannot show itself), names, addresses, reasons."""
