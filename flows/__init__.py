"""Prefect flows: one per operation on a whole ClickHouse cluster."""
