"""Pure plans, one kind a file: (object, snapshot, facts, now) -> Plan. Kinds do not import each other."""
