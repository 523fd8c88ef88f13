"""Catalogues for tests of retention: any mixture of backups, chained in any way that is no ring."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import strategies as st

from tasks.domain.catalogue import Backup, Catalogue, Copy, State
from tasks.domain.manifest_summary import ManifestSummary, ReplicaSummary
from tasks.domain.requests import Scope
from tasks.domain.retention import Circumstances
from tasks.domain.retention_policy import RetentionPolicy
from tests.builders import replica_name

NOW = datetime(2026, 7, 1, 12, tzinfo=UTC)
ZONES = ("UTC", "Europe/Berlin", "America/St_Johns", "Australia/Lord_Howe", "Asia/Kathmandu")


def ago(**ages: float) -> datetime:
    return NOW - timedelta(**ages)


def make_backup(name: str, *bases: str, at: datetime = NOW, **fields: Any) -> Backup:
    """Make a whole full backup of this cluster; keywords of the manifest go to the manifest."""
    of_manifest = {k: fields.pop(k) for k in ("scope", "schedule", "selection") if k in fields}
    copies = tuple(make_copy(base=base) for base in bases or ("",))
    defaults: dict[str, Any] = {
        "state": State.COMPLETE,
        "why": "",
        "copies": copies,
        "manifest": make_summary(name, at=at, **of_manifest),
        "ours": True,
        "listed_on": (replica_name(),),
    }
    return Backup(name=name, **(defaults | fields))


def make_copy(**fields: Any) -> Copy:
    defaults: dict[str, Any] = {"size_bytes": 1000, "created_at": 1_700_000_000}
    return Copy(shard="0", replica=replica_name(), **(defaults | fields))


def make_summary(name: str, *, at: datetime = NOW, **fields: Any) -> ManifestSummary:
    replica = ReplicaSummary(
        shard="0",
        replica=replica_name(),
        frozen_from=at,
        frozen_until=at,
        size_bytes=1000,
        tables=(),
    )
    defaults: dict[str, Any] = {
        "operation_id": f"op-of-{name}",
        "installation": "demo",
        "cluster": "main",
        "scope": Scope.FULL,
        "shards": {"0": (replica_name(),)},
        "replicas": (replica,),
    }
    return ManifestSummary(backup_name=name, **(defaults | fields))


def make_stranger(name: str, *bases: str, **fields: Any) -> Backup:
    return make_backup(
        name, *bases, **({"manifest": None, "ours": False, "listed_on": ()} | fields)
    )


def make_broken(name: str, *, at: datetime = NOW, **fields: Any) -> Backup:
    copies = (make_copy(broken="broken (can't stat metadata.json)", size_bytes=0),)
    broken = {"state": State.BROKEN, "why": "its copy is broken", "copies": copies}
    return make_backup(name, at=at, **(broken | fields))


def make_catalogue(*backups: Backup, **fields: Any) -> Catalogue:
    """Merge as the catalogue does: oldest first, each with the names of those that need it."""
    known = [
        replace(
            backup,
            children=frozenset(
                b.name for b in backups if backup.name in {c.base for c in b.copies}
            ),
        )
        for backup in backups
    ]
    known.sort(key=lambda backup: (backup.at, backup.name))
    return Catalogue(tuple(known), **fields)


def without(catalogue: Catalogue, gone: Iterable[str]) -> Catalogue:
    names = set(gone)
    return make_catalogue(*(b for b in catalogue.backups if b.name not in names))


@st.composite
def catalogues(draw: st.DrawFn, *, whole: bool = False) -> Catalogue:
    """Draw backups of the last months, some at the very same time, some of the future.

    `whole`: only full backups of this cluster.
    """
    makers = [_full] if whole else [_full, _full, _full, _of_a_kind, _odd, _not_ours]
    backups: list[Backup] = []
    for number in range(draw(st.integers(0, 12))):
        at = NOW - timedelta(minutes=draw(st.integers(-120, 60 * 24 * 90).map(_coarse)))
        earlier = [b.name for b in backups if b.name]
        bases = draw(st.lists(st.sampled_from(earlier), max_size=1)) if earlier else []
        maker = draw(st.sampled_from(makers))
        backups.append(maker(draw, f"b{number}", tuple(bases), at))
    return make_catalogue(*draw(st.permutations(backups)))


def _coarse(minutes: int) -> int:
    return minutes // 240 * 240


def _full(_: st.DrawFn, name: str, bases: tuple[str, ...], at: datetime) -> Backup:
    return make_backup(name, *bases, at=at)


def _of_a_kind(draw: st.DrawFn, name: str, bases: tuple[str, ...], at: datetime) -> Backup:
    kind = draw(st.sampled_from([(Scope.PARTIAL, ("a.*",)), (Scope.PARTIAL, ("b.*",))]))
    scope, selection = draw(st.sampled_from([kind, (Scope.SCHEMA, ())]))
    return make_backup(name, *bases, at=at, scope=scope, selection=selection)


def _odd(draw: st.DrawFn, name: str, bases: tuple[str, ...], at: datetime) -> Backup:
    odd: dict[str, Any] = draw(
        st.sampled_from(
            [
                {"suspect": "it holds no row"},
                {"state": State.UNKNOWN, "why": "nobody can tell"},
                {"state": State.BROKEN, "why": "its base is broken"},
                {"state": State.BROKEN, "why": "broken", "copies": (make_copy(broken="broken"),)},
            ]
        )
    )
    return make_backup(name, *bases, at=at, **odd)


def _not_ours(draw: st.DrawFn, name: str, bases: tuple[str, ...], at: datetime) -> Backup:
    if draw(st.booleans()):
        return make_stranger(name, *bases)
    return make_backup(name, *bases, at=at, ours=False)


_COUNTS = st.integers(0, 5)


@st.composite
def policies(draw: st.DrawFn) -> RetentionPolicy:
    return RetentionPolicy(
        keep_last=draw(_COUNTS),
        max_age_days=draw(st.sampled_from([0, 1, 7, 30])),
        hourly=draw(_COUNTS),
        daily=draw(_COUNTS),
        weekly=draw(_COUNTS),
        monthly=draw(_COUNTS),
        minimum_kept=draw(st.integers(1, 4)),
        pins=tuple(draw(st.sets(st.sampled_from([f"b{n}" for n in range(12)]), max_size=2))),
        time_zone=draw(st.sampled_from(ZONES)),
    )


@st.composite
def circumstances(draw: st.DrawFn, catalogue: Catalogue) -> Circumstances:
    names = [backup.name for backup in catalogue.backups]
    some = st.sets(st.sampled_from(names)) if names else st.just(set())
    return Circumstances(
        begun=dict.fromkeys(draw(some), "op-before"),
        broken_since=dict.fromkeys(draw(some), ago(days=2)),
    )
