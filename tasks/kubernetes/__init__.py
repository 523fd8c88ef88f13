"""The door to Kubernetes: the only place that imports its client."""
