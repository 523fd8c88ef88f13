"""One shard with very many tables and parts: what the decisions about it cost, without a server.

`python -m tests.benchmarks.tables [TABLES PARTS_PER_TABLE]`
"""

import json
import resource
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from tasks.domain.backup_plan import plan_backup
from tasks.domain.fingerprint import Fingerprint, Part
from tasks.domain.journal import Event, Step
from tasks.domain.manifest import Manifest, ReplicaRecord, TableRecord
from tasks.domain.restore_guard import demand_allowed
from tasks.domain.restore_plan import ReplicaRestore
from tasks.domain.restore_planning import plan_restore
from tasks.domain.restore_recovery import demand_creatable, tables_to_drop
from tasks.domain.restore_result import Restored, restore_outcome, rows_compared
from tasks.domain.tables import Table
from tasks.reports import summary_of
from tests.benchmarks.markdown import table
from tests.builders import (
    BACKUP,
    NOW,
    OPERATION,
    hash_of,
    make_attempt,
    make_entry,
    make_inspection,
    make_journal,
    make_manifest,
    make_observation,
    make_replica_record,
    make_table,
    make_target,
    make_topology,
    make_wish,
    replica_name,
    restore_request,
)

DEFAULT = (20_000, 50)
DEFINITION = (
    "CREATE TABLE shop.{name} (`id` UInt64, `day` Date, `text` String, `amount` Decimal(18, 4), "
    "`customer` UInt64, `tags` Array(String)) ENGINE = MergeTree PARTITION BY toYYYYMM(day) "
    "ORDER BY (customer, id) SETTINGS index_granularity = 8192"
)


class Ledger:
    """Steps in the order in which they were taken, with what each of them cost."""

    def __init__(self) -> None:
        self.rows: list[tuple[str, float, float, str]] = []

    def __call__(self, what: str, step: Callable[[], Any], *, size: Any = len) -> Any:
        began, cpu = peak_mb(), time.process_time()
        result = step()
        seconds = time.process_time() - cpu
        told = f"{size(result):,}" if size else ""
        self.rows.append((what, seconds, peak_mb() - began, told))
        return result


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def made_tables(count: int, *, rows: int) -> tuple[Table, ...]:
    names = [f"events_{number:06}" for number in range(count)]
    return tuple(
        make_table(name, definition=DEFINITION.format(name=name), rows=rows) for name in names
    )


def made_parts(table_name: str, count: int) -> Iterator[Part]:
    for number in range(count):
        partition = f"2026{number % 12 + 1:02}"
        name = f"{partition}_{number}_{number}_0"
        yield Part(
            name=name,
            partition_id=partition,
            rows=8192 + number,
            size_bytes=100_000,
            hash=hash_of(f"{table_name}/{name}"),
        )


def backed_up(take: Ledger, tables: tuple[Table, ...], parts: int) -> str:
    """Take the pure steps of a backup; return the text of its manifest."""
    seen = make_inspection(0, tables=tables)
    wish = make_wish()
    plan = take(
        "plan of a backup",
        lambda: plan_backup(wish, make_topology(shards=1), make_observation(seen)),
        size=lambda found: len(found.replicas[0].tables),
    )
    prints = take(
        "fingerprints, table by table",
        lambda: {t.full_name: Fingerprint.of(made_parts(t.name, parts)) for t in tables},
        size=lambda found: sum(one.count for one in found.values()),
    )
    records = tuple(TableRecord.of(t, prints[t.full_name]) for t in plan.replicas[0].tables)
    record = make_replica_record(0, tables=()).model_copy(update={"tables": records})
    payload = take("record to the journal (characters)", record.model_dump_json)
    take(
        "record from the journal",
        lambda: ReplicaRecord.model_validate_json(payload),
        size=lambda found: len(found.tables),
    )
    text: str = take("manifest to text (characters)", make_manifest(record).to_text)
    return text


def restored(take: Ledger, tables: tuple[Table, ...], text: str, parts: int) -> None:
    """Take the pure steps of an overwriting restore onto the tables that were backed up."""
    manifest = take(
        "manifest from text",
        lambda: Manifest.from_text(text, origin=BACKUP),
        size=lambda found: len(found.replicas[0].tables),
    )
    seen = make_observation(make_target(0, 0, *tables))
    request = restore_request(overwrite=True)

    def planned() -> Any:
        found = plan_restore(
            request, manifest, make_topology(shards=1), seen, operation_id=OPERATION
        )
        demand_allowed(found, seen, operation_id=OPERATION)
        return found

    plan = take("plan of a restore, guarded", planned, size=lambda found: len(found.lines))
    part: ReplicaRestore = plan.replicas[0]
    made = replaced(take, part, tables)
    found = {t.full_name: tuple(made_parts(t.name, parts)) for t in tables}
    compared = take("comparison of every part", lambda: rows_compared(part, found))
    outcome = take(
        "outcome",
        lambda: restore_outcome(
            plan,
            make_attempt(),
            Restored(
                phases={part.replica: "restored"},
                rows={part.replica: compared},
                tables={part.replica: made},
            ),
            finished=NOW,
        ),
        size=lambda whole: len(whole.comparisons),
    )
    take("its artifact (characters)", lambda: outcome.bounded(1000).model_dump_json())
    take("its summary (characters)", lambda: summary_of(outcome))


def replaced(take: Ledger, part: ReplicaRestore, tables: tuple[Table, ...]) -> dict[str, Table]:
    """Take the decisions before a drop and a create; return the tables as they are made anew."""
    take("patterns of its commands", lambda: part.schema_patterns + part.data_patterns)
    standing = {t.full_name: t for t in tables}
    take(
        "what is dropped",
        lambda: tables_to_drop(part, make_journal(), standing, overwrite=True),
    )
    made = {name: replace(t, modified=t.modified + 1) for name, t in standing.items()}
    identities = json.dumps({name: t.identity for name, t in made.items()})
    journal = make_journal(
        make_entry(Event.INTENT, Step.SCHEMA), make_entry(Event.IDENTITY, payload=identities)
    )
    take(
        "what is our own, after an interruption",
        lambda: tables_to_drop(part, journal, made, overwrite=True),
    )
    take("whether it may be created", lambda: demand_creatable(made, journal, made), size=None)
    return made


def main(count: int, parts: int) -> None:
    take = Ledger()
    tables = made_tables(count, rows=parts * 8192)
    text = backed_up(take, tables, parts)
    restored(take, tables, text, parts)
    print(f"One shard, {count:,} tables, {count * parts:,} parts; {replica_name()}.\n")
    head = ("step", "CPU seconds", "peak memory grew by MB", "yields")
    print(table(head, take.rows))


if __name__ == "__main__":
    main(*(int(word) for word in sys.argv[1:3]) if len(sys.argv) > 2 else DEFAULT)
