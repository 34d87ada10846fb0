"""The admission webhook: reviews of Connectors and classes, and the certificates that it is served with."""
