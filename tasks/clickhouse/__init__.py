"""The only door to ClickHouse and, through its SQL, to the clickhouse-backup sidecars."""
