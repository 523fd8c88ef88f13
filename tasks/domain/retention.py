"""Retention: for every backup whether it is kept, deleted or left alone, and why. Deletes nothing.

Only whole backups of this cluster count. Full backups are one series; partial and schema-only ones
form a series of their own for each selection of tables, so that none of them ever takes the place
of a full one. What is not understood is left alone, and whatever a backup that stays needs, stays.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo

from tasks.domain.catalogue import Backup, Catalogue, State
from tasks.domain.retention_chain import with_bases
from tasks.domain.retention_judgement import Decision, Fate, Judgement, Judgements
from tasks.domain.retention_policy import RetentionPolicy
from tasks.domain.retention_rules import Point, kept_by_rules


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """Which backups of this cluster rules are about. `schedule` None: of any, or of none."""

    prefix: str = ""
    schedule: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Circumstances:
    """What journals say. `hold`: why nothing may be deleted; empty where it may.

    `begun`: backups whose deletion began and did not end, with the operation that began it.
    `broken_since`: when a prune first saw a backup broken.
    """

    hold: str = ""
    begun: Mapping[str, str] = field(default_factory=dict)
    broken_since: Mapping[str, datetime] = field(default_factory=dict)


_NEVER = datetime.min.replace(tzinfo=UTC)


def decide(
    catalogue: Catalogue,
    policy: RetentionPolicy,
    *,
    now: datetime,
    zone: tzinfo,
    reach: Reach = Reach(),
    seen: Circumstances = Circumstances(),
) -> tuple[Decision, ...]:
    """Decide by policy: one decision for each backup, in the catalogue's order."""
    series = _points_by_series(catalogue, reach)
    kept: dict[str, str] = {}
    for points in series.values():
        kept |= kept_by_rules(points, policy, now=now, zone=zone)
    newest = {of: max(points).at for of, points in series.items()}
    case = _Case(policy=policy, reach=reach, now=now, kept=kept, newest=newest, seen=seen)
    judged = {backup.name: case.judge(backup) for backup in catalogue.backups}
    judged = with_bases(catalogue, judged)
    if not policy.rules:
        why = Judgement(Fate.KEEP, "the policy has no rule: nothing is deleted")
        judged = {n: why if j.fate is Fate.DELETE else j for n, j in judged.items()}
    return _decisions(catalogue, _stopped(judged, _stop(catalogue, seen)))


def decide_named(
    catalogue: Catalogue,
    names: Collection[str],
    *,
    cascade: bool = False,
    seen: Circumstances = Circumstances(),
) -> tuple[Decision, ...]:
    """Decide to delete what is named; with `cascade` also what needs it, if that is ours."""
    judged = {b.name: Judgement(Fate.KEEP, "it is not named") for b in catalogue.backups}
    for name, why in _asked(catalogue, names, cascade=cascade).items():
        backup = catalogue.find(name)
        if backup is not None:
            judged[name] = _judge_named(backup, why)
    judged = _all_or_none(with_bases(catalogue, judged, by_name=True))
    return _decisions(catalogue, _stopped(judged, _stop(catalogue, seen, by_name=True)))


def doubts_of(catalogue: Catalogue) -> dict[str, str]:
    """Say of which replicas one cannot tell what they store, and why."""
    return {r: why for r, why in catalogue.troubles.items() if not _is_harmless(r, catalogue)}


def gap_of(catalogue: Catalogue, seen: Circumstances) -> str:
    """Name a backup of ours that is missing where its manifest says it is: a listing may lie."""
    for backup in catalogue.backups:
        if backup.ours and backup.lacking and backup.name not in seen.begun:
            return (
                f"{backup.name} is missing on shard {', '.join(backup.lacking)}, where its manifest"
                " says it is: a listing may be partial; if it is gone for good, prune it by name"
            )
    return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Case:
    """All that a policy judges one backup by, apart from the backups that it is chained to."""

    policy: RetentionPolicy
    reach: Reach
    now: datetime
    kept: Mapping[str, str]
    newest: Mapping[tuple[str, ...], datetime]
    seen: Circumstances

    def judge(self, backup: Backup) -> Judgement:
        name = backup.name
        if name in self.policy.pins:
            return Judgement(Fate.KEEP, "pinned by name")
        if foreign := _foreign(backup):
            return Judgement(Fate.LEAVE, foreign)
        if name in self.seen.begun and not backup.is_point:  # within reach then, as judged then
            why = f"operation {self.seen.begun[name]} began to delete it, and broke off"
            return Judgement(Fate.DELETE, why)
        if outside := _outside(backup, self.reach):
            return Judgement(Fate.LEAVE, outside)
        if any(copy.broken for copy in backup.copies):
            return self._judge_broken(backup)
        return self._judge_whole(backup)

    def _judge_whole(self, backup: Backup) -> Judgement:
        if backup.state is State.UNKNOWN or (backup.manifest and not backup.is_point):
            return Judgement(Fate.LEAVE, f"{backup.state}: {backup.why}")
        if backup.manifest is None:
            return Judgement(Fate.LEAVE, _without_manifest(backup))
        if backup.suspect:
            return Judgement(Fate.LEAVE, f"suspect: {backup.suspect}")
        if backup.name in self.kept:
            return Judgement(Fate.KEEP, self.kept[backup.name])
        rules = ", ".join(f"{rule}={number}" for rule, number in self.policy.rules.items())
        return Judgement(Fate.DELETE, f"no rule keeps it ({rules or 'there is none'})")

    def _judge_broken(self, backup: Backup) -> Judgement:
        """Give up what was seen broken for a while: a leftover, or what has a successor.

        Where a manifest lies beside it that cannot be read, or nothing whole is seen at all, the
        bucket may only be unreadable for now.
        """
        if backup.manifest is None and (backup.marked_on or backup.unreadable):
            return Judgement(Fate.LEAVE, f"{backup.why}, and {_without_manifest(backup)}")
        if not self.newest:
            return Judgement(Fate.LEAVE, f"{backup.why}; no whole backup is seen at all")
        if backup.manifest is not None and self.newest.get(_series(backup), _NEVER) <= backup.at:
            return Judgement(Fate.LEAVE, f"{backup.why}; no whole backup followed it")
        since = self.seen.broken_since.get(backup.name)
        if since is None:
            told = f"first seen now, given up in {self.policy.grace_hours} h"
            return Judgement(Fate.LEAVE, f"{backup.why}; {told}")
        told = f"{backup.why}; seen so since {since:%Y-%m-%d %H:%M %Z}"
        if self.now - since < timedelta(hours=self.policy.grace_hours):
            told = f"{told}, given up {self.policy.grace_hours} h later"
            return Judgement(Fate.LEAVE, told)
        return Judgement(Fate.DELETE, told)


def _series(backup: Backup) -> tuple[str, ...]:
    """Name what a backup is one of: its scope, and what it was asked to hold."""
    manifest = backup.manifest
    return () if manifest is None else (manifest.scope, *manifest.selection)


def _points_by_series(catalogue: Catalogue, reach: Reach) -> dict[tuple[str, ...], list[Point]]:
    series: dict[tuple[str, ...], list[Point]] = defaultdict(list)
    for backup in catalogue.backups:
        counts = backup.is_point and backup.ours and not backup.suspect
        if counts and not _outside(backup, reach):
            series[_series(backup)].append(Point(backup.at, backup.name))
    return series


def _foreign(backup: Backup) -> str:
    found = backup.manifest
    if found is None or backup.ours:
        return ""
    return f"it belongs to another cluster: {found.installation}/{found.cluster}"


def _outside(backup: Backup, reach: Reach) -> str:
    if not backup.name.startswith(reach.prefix):
        return f"out of reach: its name does not begin with {reach.prefix}"
    if backup.manifest is None:
        return "out of reach: nobody can tell its schedule" if reach.schedule else ""
    if reach.schedule is None or backup.manifest.schedule == reach.schedule:
        return ""
    return f"out of reach: it was made by {_made_by(backup.manifest.schedule)}"


def _made_by(schedule: str) -> str:
    return f"schedule {schedule}" if schedule else "no schedule"


def _without_manifest(backup: Backup) -> str:
    if backup.unreadable:
        return f"its manifest cannot be read: {backup.unreadable}"
    if backup.listed_on:
        return "its manifest is not read yet"
    if backup.marked_on:
        return f"its manifest is listed as broken on {backup.marked_on[0]}"
    return "it has no manifest: not ours"


def _asked(catalogue: Catalogue, names: Collection[str], *, cascade: bool) -> dict[str, str]:
    """Name what is to go, and why; with `cascade` what builds on it too, unless not ours."""
    ours = {backup.name for backup in catalogue.backups if backup.ours}
    children = {backup.name: sorted(backup.children & ours) for backup in catalogue.backups}
    asked = dict.fromkeys(names, "it is named")
    waiting = list(names) if cascade else []
    while waiting:
        base = waiting.pop()
        for child in children.get(base, ()):
            if child not in asked:
                asked[child] = f"it needs {base}"
                waiting.append(child)
    return asked


def _all_or_none(judged: Judgements) -> Judgements:
    """Delete nothing of what was named, with all that needs it, unless all of it may go."""
    hindered = next((name for name, judgement in judged.items() if judgement.hindered), None)
    if hindered is None:
        return judged
    return _stopped(judged, f"all that is named goes, or nothing does: {hindered} has to stay")


def _judge_named(backup: Backup, why: str) -> Judgement:
    foreign = _foreign(backup)
    if backup.manifest is None and (backup.marked_on or backup.unreadable):
        foreign = f"{_without_manifest(backup)}, so nobody can tell whose it is: delete it by hand"
    judged = Judgement(Fate.DELETE, why)
    return judged.but(foreign) if foreign else judged


def _stop(catalogue: Catalogue, seen: Circumstances, *, by_name: bool = False) -> str:
    """Say why nothing at all may be deleted now; empty where it may."""
    if seen.hold:
        return f"held: {seen.hold}"
    doubts = tuple(doubts_of(catalogue).values())
    if doubts:
        return f"nothing is deleted while one cannot tell what is there: {doubts[0]}"
    gap = "" if by_name else gap_of(catalogue, seen)
    return f"nothing is deleted while {gap}" if gap else ""


def _is_harmless(replica: str, catalogue: Catalogue) -> bool:
    """Tell whether a replica rightly lists nothing: nothing was ever stored there."""
    return replica in catalogue.idle and not any(
        stored.replica == replica and stored.tables
        for backup in catalogue.backups
        if backup.manifest is not None
        for stored in backup.manifest.replicas
    )


def _stopped(judged: Judgements, stop: str) -> Judgements:
    if not stop:
        return judged
    return {n: j.but(stop) if j.fate is Fate.DELETE else j for n, j in judged.items()}


def _decisions(catalogue: Catalogue, judged: Judgements) -> tuple[Decision, ...]:
    return tuple(
        Decision(
            name=backup.name,
            fate=judged[backup.name].fate,
            why=judged[backup.name].why,
            hindered=judged[backup.name].hindered,
            at=backup.at,
            size_bytes=backup.size_bytes,
        )
        for backup in catalogue.backups
    )
