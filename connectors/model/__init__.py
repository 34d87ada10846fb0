"""Pure values and rules: names, addresses, Connector, ConnectorClass, Secret, conditions, reasons, checks."""
