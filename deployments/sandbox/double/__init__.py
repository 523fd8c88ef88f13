"""A stand-in for the clickhouse-backup server: its REST contract, with real backups in a folder."""
