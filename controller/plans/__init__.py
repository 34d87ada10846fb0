"""Pure plans, one kind a file: (object, snapshot, facts, now) -> what to do. Kinds do not import each other."""
