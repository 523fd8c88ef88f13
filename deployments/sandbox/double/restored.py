"""One table on its way back: what the backup stored, and what it becomes."""

from dataclasses import dataclass

from deployments.sandbox.double.metadata import TableMetadata, TableName


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoredTable:
    stored: TableMetadata
    target: TableName
    query: str
