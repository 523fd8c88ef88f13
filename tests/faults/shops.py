"""What stands on the servers of a story: rows that are known, more rows, and how to read them."""

from collections.abc import Sequence
from typing import Protocol

from tests.integration import replicated_shop
from tests.integration.bench import Bench

_STARTS_BY_ITSELF = (  # a restore makes it last
    "CREATE MATERIALIZED VIEW shop.refreshed REFRESH EVERY 1 YEAR APPEND TO shop.counted EMPTY AS "
    "SELECT now() AS at, count() AS rows FROM shop.orders"
)
_BESIDES = (
    "CREATE TABLE shop.counted (at DateTime, rows UInt64) ENGINE = MergeTree ORDER BY at",
    "INSERT INTO shop.counted VALUES ('2026-01-01 00:00:00', 7)",
    _STARTS_BY_ITSELF,
)
# a restored view starts by itself and adds a row of its own
_COUNTED = "shop.counted WHERE at < '2026-06-01'"


class Shop(Protocol):
    """`struck` is the member on which things happen; the lock lies on another one.

    `losses`: tables whose rows a restore gives up.
    """

    struck: int
    losses: Sequence[str]

    def fill(self, bench: Bench) -> None:
        """Make it anew, with the same rows every time."""

    def add(self, bench: Bench) -> None:
        """Let rows come that no backup holds."""

    def bring_back(self, bench: Bench, backup: str) -> None:
        """Let the sidecars alone restore it."""

    def rows(self, bench: Bench) -> object: ...


class PlainShop:
    """Other rows on each of the shards, which have one replica each."""

    struck = 1
    losses: Sequence[str] = ()

    def fill(self, bench: Bench) -> None:
        bench.drop("shop")
        bench.fill_shop(rows=60)
        bench.everywhere(*_BESIDES)

    def add(self, bench: Bench) -> None:
        for number in range(len(bench.nodes)):
            bench.add_orders(number, first=5000)

    def bring_back(self, bench: Bench, backup: str) -> None:
        for number in range(len(bench.nodes)):
            _restore(bench, number, "--tables=shop.*", backup)

    def rows(self, bench: Bench) -> object:
        return bench.contents("shop.orders", _COUNTED), bench.tables("shop")


class ReplicatedShop:
    """Two replicas of each of two shards; rows that only one of them has are given up."""

    struck = 2
    losses: Sequence[str] = replicated_shop.LOSSES

    def fill(self, bench: Bench) -> None:
        bench.drop("shop")
        replicated_shop.open_shop(bench, rows=60)

    def add(self, bench: Bench) -> None:
        bench.add_orders(self.struck, first=5000)
        replicated_shop.catch_up(bench)

    def bring_back(self, bench: Bench, backup: str) -> None:
        with_rows = replicated_shop.first_replicas(bench)
        for number in range(len(bench.nodes)):
            part = () if number in with_rows else ("--schema",)
            _restore(bench, number, *part, "--tables=shop.*", backup)

    def rows(self, bench: Bench) -> object:
        replicated_shop.catch_up(bench)
        return replicated_shop.contents(bench), bench.tables("shop")


def _restore(bench: Bench, number: int, *words: str) -> None:
    command = " ".join(("restore_remote", *words))
    bench.tell(number, command)
    (told,) = (row for row in bench.actions(number) if row["command"] == command)
    assert told["status"] == "success", told
