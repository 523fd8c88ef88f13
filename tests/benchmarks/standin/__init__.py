"""Stand-ins: many shards in one process, with a sidecar of fixed durations beside each."""
