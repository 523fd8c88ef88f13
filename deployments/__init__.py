"""How the flows are served: the registry of Prefect deployments and the embedded sandbox."""
