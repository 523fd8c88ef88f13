"""The demo: a cluster is backed up, destroyed and restored through Prefect, and compared."""
