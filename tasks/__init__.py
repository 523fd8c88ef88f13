"""Prefect tasks: one effect on one shard or replica each; decisions live in `tasks.domain`."""
