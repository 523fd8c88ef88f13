"""Chains in retention: what a backup that stays needs, stays; what goes, goes children first."""

from collections.abc import Collection, Iterable, Mapping

from tasks.domain.catalogue import Backup, Catalogue
from tasks.domain.retention_judgement import NEEDS_IT, Fate, Judgement, Judgements


def with_bases(catalogue: Catalogue, judged: Judgements, *, by_name: bool = False) -> Judgements:
    """Let stay whatever a backup that stays needs, through any number of links."""
    bases = {b.name: frozenset().union(*b.bases.values()) for b in catalogue.backups}
    staying = [b for b in catalogue.backups if judged[b.name].fate is not Fate.DELETE]
    needed = {base: b for b in staying for base in _all_bases(b.name, bases)}
    needed |= {base: b for b in staying for base in bases[b.name]}  # a direct child is named first
    return {
        name: _needed(judgement, needed[name], by_name=by_name)
        if name in needed and judgement.fate is Fate.DELETE
        else judgement
        for name, judgement in judged.items()
    }


def _all_bases(name: str, bases: Mapping[str, Iterable[str]]) -> set[str]:
    found: set[str] = set()
    waiting = [name]
    while waiting:
        new = set(bases.get(waiting.pop(), ())) - found
        found |= new
        waiting += new
    return found


def _needed(judgement: Judgement, child: Backup, *, by_name: bool) -> Judgement:
    if not child.ours:
        return judgement.but(f"{child.name} needs it, and is not ours: see to that one first")
    if by_name:
        return judgement.but(f"{child.name} {NEEDS_IT}")
    return Judgement(Fate.KEEP, f"base of {child.name}, which stays")


def deletion_order(catalogue: Catalogue, doomed: Collection[str]) -> tuple[str, ...]:
    """Put children before what they need, the oldest first where nothing else decides.

    So whatever still stands when a deletion is interrupted can still be restored.
    """
    waiting = [backup.name for backup in catalogue.backups if backup.name in doomed]
    children = {backup.name: backup.children for backup in catalogue.backups}
    ordered: list[str] = []
    while waiting:
        free = [name for name in waiting if not children[name] & set(waiting) - {name}]
        ordered += free or waiting[:1]  # a ring of chains, which is broken anyhow
        waiting = [name for name in waiting if name not in ordered]
    return tuple(ordered)
