"""What was remembered changes nothing: a proxy that has seen a request before behaves as one that has not.

Names begin with the number of the invariant that is held (test_r07_...), and that of the breach of a prototype where
there was one (p01 to p10).
"""
