"""A cluster of real, old servers: ClickHouse 18.16 and ZooKeeper, as Debian packs them."""
