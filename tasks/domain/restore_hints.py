"""What a person should know before a restore: whether it is needed, and how long it takes."""

from collections.abc import Iterable, Iterator, Mapping

from tasks.domain.proofs import Proof
from tasks.domain.restore_plan import RestorePlan
from tasks.domain.tables import Dropped

_MINUTE_SECONDS = 60


def undrops(plan: RestorePlan, dropped: Mapping[str, Iterable[Dropped]]) -> Iterator[str]:
    """Give the statements that bring tables back which their server has not forgotten yet.

    `dropped`: by replica, the latest drop first.
    """
    for part in plan.replicas:
        standing = {table.full_name for table in part.drop}
        wanted = {table.full_name for table in (*part.create, *part.late)} - standing
        for table in dropped.get(part.replica, ()):
            if table.full_name in wanted:
                wanted.discard(table.full_name)
                yield (
                    f"no restore is needed for {table.full_name} on {part.replica} while this "
                    f"still works there: {table.undrop}"
                )


def expected_seconds(plan: RestorePlan, proofs: Iterable[Proof]) -> str:
    """Say how long the last drill took, of this very backup if there was one; else nothing."""
    measured = [proof for proof in proofs if proof.seconds_to_restore is not None]
    if not measured:
        return ""
    last = max(measured, key=lambda proof: (proof.backup_name == plan.backup_name, proof.at))
    minutes = (last.seconds_to_restore or 0) / _MINUTE_SECONDS
    return (
        f"about {minutes:.1f} minutes, as a drill of {last.backup_name} took on "
        f"{last.at:%Y-%m-%d %H:%M} UTC"
    )
