"""Chains of increments: which parts a base already holds, and where a required part really lies."""

from pathlib import Path

from deployments.sandbox.double.bucket import Bucket
from deployments.sandbox.double.errors import CommandFailed
from deployments.sandbox.double.metadata import Part, TableMetadata, TableName
from deployments.sandbox.double.patterns import matches_any


def base_tables(bucket: Bucket, base: str, pattern: str) -> dict[TableName, TableMetadata]:
    """Read the tables of a remote base. A broken base is accepted, and holds none."""
    if not bucket.holds(base):
        raise CommandFailed(
            f"b.getTablesDiffFromRemote return error: {base} not found on remote storage"
        )
    metadata = bucket.find(base).metadata
    names = metadata.tables if metadata else ()
    return {
        name: bucket.read_table(base, name) for name in names if matches_any(pattern, str(name))
    }


def same_part(base: TableMetadata, disk: str, part: str, fingerprint: str) -> bool:
    """Compare content, not only names: parts of another replica or table life may share one."""
    if not any(known.name == part for known in base.parts.get(disk, ())):
        return False
    return base.fingerprints.get(part, fingerprint) == fingerprint


def with_required_parts(table: TableMetadata, base: TableMetadata) -> TableMetadata:
    """Mark what the base has already: such parts are named, not uploaded."""
    return table.with_parts(
        {
            disk: tuple(_marked(part, table, base, disk) for part in parts)
            for disk, parts in table.parts.items()
        }
    )


def _marked(part: Part, table: TableMetadata, base: TableMetadata, disk: str) -> Part:
    fingerprint = table.fingerprints.get(part.name, "")
    if part.required or same_part(base, disk, part.name, fingerprint):
        return Part(name=part.name, required=True)
    return part


def source_of(bucket: Bucket, base: str, table: TableName, part: str) -> Path:
    """Find the archive of a required part, as many links up the chain as it takes."""
    first = base
    while base:
        metadata = bucket.read(base)
        known = bucket.read_table(base, table)
        for disk, found in known.each_part:
            if found.name == part and not found.required:
                return bucket.part(base, table, disk, part)
        base = metadata.required
    raise CommandFailed(f"{table} {part} not found on {first} and all required backups sequence")
