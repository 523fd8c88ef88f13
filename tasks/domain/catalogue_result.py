"""From the catalogue to what a person asks of it: which backups, how good, how old."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase

from pydantic import BaseModel, ConfigDict

from tasks.domain.catalogue import Backup, Catalogue
from tasks.domain.manifest_summary import ManifestSummary
from tasks.domain.outcomes import Attempt, Line, Outcome, Sheet, Status
from tasks.domain.proofs import Proof
from tasks.domain.units import human_age, human_size

_NO_MANIFEST = "no manifest"


class ListedBackup(BaseModel):
    """One backup as a person and a machine read it. `tables`: rows of each that was asked for.

    `is_point`: it can be restored. `counts`: as a full recovery point of this cluster, too.

    `at`: when its last shard was frozen. `owner`: the installation of its manifest. `chain`: how
    many backups each shard needs below this one; zero for a full one.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    name: str
    state: str
    is_point: bool = False
    counts: bool = False
    why: str = ""
    scope: str = ""
    at: datetime
    rows: int | None = None
    size_bytes: int = 0
    skew_seconds: float | None = None
    owner: str = _NO_MANIFEST
    schedule: str = ""
    suspect: str = ""
    chain: dict[str, int] = {}
    proof: Proof | None = None
    tables: dict[str, int | None] = {}

    def line(self, now: datetime) -> Line:
        return {
            "backup": self.name,
            "state": self._worth,
            "scope": self.scope,
            "frozen": f"{self.at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC",
            "age": human_age(now - self.at),
            "rows": "unknown" if self.rows is None else f"{self.rows:,}",
            "size": human_size(self.size_bytes),
            "skew": "" if self.skew_seconds is None else f"{self.skew_seconds:.2f} s",
            "kind": f"increment, {max(self.chain.values())} below" if self.chain else "full",
            "owner": self.owner,
            "proven": _proven(self.proof, now),
        }

    @property
    def _worth(self) -> str:
        told = f"{self.state}: {self.why}" if self.why else self.state
        return f"{told}; suspect: {self.suspect}" if self.suspect else told


class ListOutcome(Outcome):
    """All backups, the newest first; with `asked` only those that hold one of these tables."""

    backups: tuple[ListedBackup, ...] = ()
    asked: tuple[str, ...] = ()

    @property
    def headline(self) -> str:
        points = sum(backup.is_point for backup in self.backups)
        holding = f" that hold {', '.join(self.asked)}" if self.asked else ""
        return (
            f"{len(self.backups)} backups of {self.installation}{holding}, {points} of them "
            "recovery points"
        )

    @property
    def facts(self) -> dict[str, str]:
        newest = next((backup for backup in self.backups if backup.counts), None)
        age = f"{newest.name}, {human_age(self.finished - newest.at)} old" if newest else "none"
        proven = next((b for b in self.backups if b.proof and b.proof.is_drill), None)
        return {
            "installation": self.installation,
            "newest full recovery point": age,
            "newest that a drill proved": proven.name if proven else "none",
        }

    @property
    def sheets(self) -> tuple[Sheet, ...]:
        lines = tuple(backup.line(self.finished) for backup in self.backups)
        found = [Sheet("backups", "Backups, the newest first", lines)]
        if self.asked:
            rows = tuple(line for backup in self.backups for line in self._table_lines(backup))
            found.append(Sheet("tables", "Which backups hold the tables", rows))
        return tuple(sheet for sheet in found if sheet.lines)

    def bounded(self, most: int) -> "ListOutcome":
        return super().bounded(most).model_copy(update={"backups": self.backups[:most]})

    def _table_lines(self, backup: ListedBackup) -> tuple[Line, ...]:
        return tuple(
            {
                "table": table,
                "backup": backup.name,
                "state": backup.state,
                "rows": "unknown" if rows is None else f"{rows:,}",
                "age": human_age(self.finished - backup.at),
                "proven": _proven(backup.proof, self.finished),
            }
            for table, rows in backup.tables.items()
        )


def catalogue_outcome(
    catalogue: Catalogue,
    attempt: Attempt,
    *,
    tables: Sequence[str],
    notes: Sequence[str],
    finished: datetime,
) -> ListOutcome:
    """Render the catalogue; with `tables` (patterns) only what holds one of them, or may do so."""
    listed = [_listed(backup, catalogue, tables) for backup in reversed(catalogue.backups)]
    return ListOutcome(
        operation=attempt.operation,
        operation_id=attempt.operation_id,
        installation=attempt.installation,
        backup_name="",
        status=Status.COMPLETED,
        started=attempt.started,
        finished=finished,
        notes=(*_doubts(catalogue), *notes),
        backups=tuple(b for b in listed if not tables or b.tables or b.owner == _NO_MANIFEST),
        asked=tuple(tables),
    )


def _listed(backup: Backup, catalogue: Catalogue, tables: Sequence[str]) -> ListedBackup:
    manifest = backup.manifest
    plain = ListedBackup(
        name=backup.name,
        state=backup.state.value,
        is_point=backup.is_point,
        counts=backup.counts,
        why=backup.why,
        at=backup.at,
        size_bytes=backup.size_bytes,
        chain=chain_lengths(backup, catalogue),
    )
    if manifest is None:
        return plain
    known = {
        "scope": manifest.scope.value,
        "rows": manifest.rows if manifest.counted else None,
        "skew_seconds": manifest.skew_seconds,
        "owner": manifest.installation,
        "schedule": manifest.schedule,
        "suspect": backup.suspect,
        "proof": backup.proof,
        "tables": _rows(manifest, tables),
    }
    return plain.model_copy(update=known)


def chain_lengths(backup: Backup, catalogue: Catalogue) -> dict[str, int]:
    """Count for each shard the backups that this one needs; where it is full, it is left out."""
    found: dict[str, int] = {}
    for shard, bases in backup.bases.items():
        below, waiting = set[str](), set(bases)
        while waiting:
            name = waiting.pop()
            below.add(name)
            base = catalogue.find(name)
            waiting |= (base.bases.get(shard, frozenset()) if base else frozenset()) - below
        found[shard] = len(below)
    return found


def _rows(manifest: ManifestSummary, patterns: Sequence[str]) -> dict[str, int | None]:
    unknown = {
        table.name
        for replica in manifest.replicas
        for table in replica.tables
        if table.rows is None and table.keeps_rows
    }
    return {
        name: None if name in unknown else rows
        for name, rows in manifest.rows_by_table().items()
        if any(fnmatchcase(name, pattern) for pattern in patterns)
    }


def _proven(proof: Proof | None, now: datetime) -> str:
    if proof is None:
        return "never"
    took = proof.seconds_to_restore
    timed = "" if took is None else f", {timedelta(seconds=round(took))} to restore"
    return f"{proof.level} {proof.verdict} {human_age(now - proof.at)} ago{timed}"


def _doubts(catalogue: Catalogue) -> list[str]:
    notes = [f"could not tell: {trouble}" for trouble in catalogue.troubles.values()]
    notes += [
        f"the manifest of {backup.name} cannot be read: {backup.unreadable}"
        for backup in catalogue.backups
        if backup.unreadable
    ]
    return notes + [
        f"{backup.name} has no manifest: this product did not make it, or never finished it"
        for backup in catalogue.backups
        if backup.manifest is None and not backup.listed_on
    ]
