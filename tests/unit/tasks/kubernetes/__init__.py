"""The door to Kubernetes, without a server behind it."""
