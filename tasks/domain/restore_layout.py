"""Which replica a restore brings which rows to, and what of a backup's layout does not fit.

Local rows go back to the replica they came from. Rows of a Replicated table are attached on one
replica only; the others get them by replication.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from tasks.domain.errors import TopologyMismatch
from tasks.domain.inspection import Observation
from tasks.domain.manifest import Manifest, ReplicaRecord, TableRecord
from tasks.domain.replication import KeeperEntry, keeper_entry
from tasks.domain.tables import TableClass
from tasks.domain.topology import Shard, Topology


@dataclass(frozen=True, slots=True)
class Followed:
    """A replicated table whose rows another replica, `source`, attaches."""

    record: TableRecord
    source: str


@dataclass(frozen=True, slots=True)
class _Claim:
    """Who attaches the rows of a replicated table. `path` None: nobody can tell where it lives."""

    followed: Followed
    path: str | None


_Claims = Mapping[str | tuple[str, str], _Claim]  # by path, and by shard and full name


@dataclass(frozen=True, slots=True)
class Layout:
    """Records by the replica they go to, and who attaches the rows of each replicated table."""

    homes: Mapping[str, ReplicaRecord]
    reasons: Mapping[str, str]  # shard -> why its replicated rows go where they go
    claims: _Claims

    def first_of(self, shard: str) -> str | None:
        """Tell which replica of a shard attaches its replicated rows."""
        return next((name for name, r in self.homes.items() if r.shard == shard), None)

    def source_of(
        self, table: TableRecord, *, shard: str, entry: KeeperEntry | None
    ) -> Followed | None:
        """Find who attaches the rows of a replicated table; None where it is nobody."""
        claim = _claimed(self.claims, table, shard=shard, entry=entry)
        return claim.followed if claim else None


def layout_of(manifest: Manifest, topology: Topology, observed: Observation) -> Layout:
    """Find a home for every record. Raises TopologyMismatch where the backup does not fit."""
    _demand_same_layout(manifest, topology, observed)
    homes: dict[str, ReplicaRecord] = {}
    reasons: dict[str, str] = {}
    for shard in topology.shards:
        settled = _settled(manifest, shard)
        homes |= settled
        if settled:
            reasons[shard.name] = _reason(settled, manifest)
    return Layout(homes=homes, reasons=reasons, claims=_claims(homes, observed))


def demand_homes(layout: Layout, manifest: Manifest) -> None:
    """Raise TopologyMismatch for rows without a replica to go to: nothing would miss them."""
    placed = list(layout.homes.values())
    homeless = [
        f"{record.replica} of shard {record.shard}"
        for record in manifest.replicas
        if record.tables and record not in placed
    ]
    if homeless:
        message = (
            f"backup {manifest.backup_name} holds the rows of {', '.join(homeless)}; this cluster "
            "has no replica of that name to bring them to"
        )
        raise TopologyMismatch(message)


def _demand_same_layout(manifest: Manifest, topology: Topology, observed: Observation) -> None:
    wanted, standing = set(manifest.shards), {shard.name for shard in topology.shards}
    if wanted != standing:
        message = (
            f"backup {manifest.backup_name} was taken from shards {', '.join(sorted(wanted))}; "
            f"this cluster has {', '.join(sorted(standing))}"
        )
        raise TopologyMismatch(message)
    for record in manifest.replicas:
        for seen in observed.of_shard(record.shard):
            before, now = record.macros.get("shard"), seen.macros.get("shard")
            if None not in (before, now) and before != now:
                message = (
                    f"{seen.place}: its macro {{shard}} is {now!r}, but the backup of this shard "
                    f"was taken where it was {before!r}: its remote path is another shard's"
                )
                raise TopologyMismatch(message)


def _settled(manifest: Manifest, shard: Shard) -> dict[str, ReplicaRecord]:
    """Place the records of one shard, the one that holds the most replicated rows first."""
    records = [record for record in manifest.replicas if record.shard == shard.name]
    records.sort(key=_replicated_rows, reverse=True)
    homes = ((_home_of(record, records, shard), record) for record in records)
    return {replica: record for replica, record in homes if replica is not None}


def _home_of(record: ReplicaRecord, records: list[ReplicaRecord], shard: Shard) -> str | None:
    """Find the replica that a record's rows go to; names may differ where there is one choice.

    Replicated rows reach every replica from any of them: with no others, each is a choice.
    """
    standing = [replica.name for replica in shard.replicas]
    if record.replica in standing:
        return record.replica
    if len(records) > 1:
        return None
    return standing[0] if len(standing) == 1 or not _holds_local_rows(record) else None


def _holds_local_rows(record: ReplicaRecord) -> bool:
    return any(table.table_class is TableClass.LOCAL for table in record.tables)


def _replicated_rows(record: ReplicaRecord) -> int:
    return sum(
        table.fingerprint.rows
        for table in record.tables
        if table.fingerprint and table.table_class is TableClass.REPLICATED
    )


def _reason(settled: Mapping[str, ReplicaRecord], manifest: Manifest) -> str:
    replica, record = next(iter(settled.items()))
    if replica != record.replica:
        return f"stands in for {record.replica}, from which {manifest.backup_name} was taken"
    if len(settled) == 1:
        return f"{manifest.backup_name} was taken from it"
    rows = [_replicated_rows(other) for other in settled.values()]
    if rows[0] > rows[1]:
        return f"of its siblings its copy holds the most replicated rows, {rows[0]}"
    return "the first of several whose copies hold equally many replicated rows"


def _claims(homes: Mapping[str, ReplicaRecord], observed: Observation) -> _Claims:
    """Let every replicated table be attached once, by the first replica whose record holds it."""
    claims: dict[str | tuple[str, str], _Claim] = {}
    for replica, record in homes.items():
        macros = observed.of(replica).macros
        for table in record.tables:
            entry = keeper_entry(table.as_table(), macros)
            replicated = table.table_class is TableClass.REPLICATED
            if not replicated or _claimed(claims, table, shard=record.shard, entry=entry):
                continue
            claim = _Claim(Followed(table, replica), entry.path if entry else None)
            claims.setdefault((record.shard, table.full_name), claim)
            if entry is not None:
                claims[entry.path] = claim
    return claims


def _claimed(
    claims: _Claims, table: TableRecord, *, shard: str, entry: KeeperEntry | None
) -> _Claim | None:
    """Find the claim on a table: by where it lives, else by its shard and name."""
    if entry is not None and entry.path in claims:
        return claims[entry.path]
    near = claims.get((shard, table.full_name))
    both_known = entry is not None and near is not None and near.path is not None
    return None if both_known else near
