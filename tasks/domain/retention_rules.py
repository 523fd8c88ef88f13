"""Retention rules: what each of them keeps of one series of recovery points, and why.

Calendar rules keep the newest point of each of the last hours, days, weeks or months that have
one: a pause between backups costs none of those before it.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo

from tasks.domain.retention_policy import RetentionPolicy

_Bucket = tuple[object, ...]


@dataclass(frozen=True, slots=True, order=True)
class Point:
    """One recovery point, ordered by its time; of equal times the name decides."""

    at: datetime
    name: str


def kept_by_rules(
    points: Iterable[Point], policy: RetentionPolicy, *, now: datetime, zone: tzinfo
) -> dict[str, str]:
    """Say of each point that is kept which rules keep it. `now` and times are aware.

    A point of the future was made before a clock was set back: it is kept, and takes no place.
    """
    found = sorted(points, reverse=True)
    newest_first = [point for point in found if point.at <= now]
    why: dict[str, list[str]] = defaultdict(list)
    for point in found[: len(found) - len(newest_first)]:
        why[point.name].append(f"its time {point.at:%Y-%m-%d %H:%M %Z} has not come yet")
    for number, point in enumerate(newest_first, start=1):
        why[point.name] += _by_order(number, policy)
        if policy.max_age_days and now - point.at <= timedelta(days=policy.max_age_days):
            why[point.name].append(f"at most {policy.max_age_days} days old")
    for rule, wanted, bucket_of in _calendar(policy):
        for point, told in _newest_of_each(newest_first, wanted, bucket_of, zone):
            why[point.name].append(f"{rule} {told}")
    return {name: ", ".join(reasons) for name, reasons in why.items() if reasons}


def _by_order(number: int, policy: RetentionPolicy) -> list[str]:
    """Tell what keeps the point that is the `number`th from the newest."""
    kept = []
    last = max(policy.keep_last, policy.keep_last_remote)
    if number <= last:
        kept.append(f"number {number} of the last {last}")
    if number == 1:
        kept.append("the newest")
    elif number <= policy.minimum_kept:
        kept.append(f"one of at least {policy.minimum_kept}")
    return kept


def _calendar(
    policy: RetentionPolicy,
) -> tuple[tuple[str, int, Callable[[datetime], tuple[_Bucket, str]]], ...]:
    return (
        ("hourly", policy.hourly, _hour),
        ("daily", policy.daily, _day),
        ("weekly", policy.weekly, _week),
        ("monthly", policy.monthly, _month),
    )


def _newest_of_each(
    newest_first: list[Point],
    wanted: int,
    bucket_of: Callable[[datetime], tuple[_Bucket, str]],
    zone: tzinfo,
) -> Iterable[tuple[Point, str]]:
    seen: set[_Bucket] = set()
    for point in newest_first:
        bucket, told = bucket_of(point.at.astimezone(zone))
        if bucket not in seen and len(seen) < wanted:
            seen.add(bucket)
            yield point, told


def _hour(local: datetime) -> tuple[_Bucket, str]:
    """Take the hour that comes twice when summer time ends for two: its offset tells them apart."""
    return (local.date(), local.hour, local.utcoffset()), f"{local:%Y-%m-%d %H:00 %z}"


def _day(local: datetime) -> tuple[_Bucket, str]:
    return (local.date(),), f"{local:%Y-%m-%d}"


def _week(local: datetime) -> tuple[_Bucket, str]:
    year, week, _ = local.isocalendar()
    return (year, week), f"{year}-W{week:02}"


def _month(local: datetime) -> tuple[_Bucket, str]:
    return (local.year, local.month), f"{local:%Y-%m}"
