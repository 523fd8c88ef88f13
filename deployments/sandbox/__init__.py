"""An embedded ClickHouse cluster with sidecars: the demo runs on it, and the tests."""
