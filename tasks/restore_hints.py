"""Ask the servers what a person should know before a restore."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from tasks.catalogue import look_at_replica
from tasks.clickhouse.session import ReplicaSession
from tasks.clickhouse.tables import read_dropped
from tasks.domain.restore_hints import expected_seconds, undrops
from tasks.domain.restore_plan import RestorePlan
from tasks.domain.tables import Dropped
from tasks.fan_out import HEALING, all_or_raise, fan_out, step


async def with_hints(
    plan: RestorePlan, sessions: Mapping[str, ReplicaSession], *, width: int
) -> RestorePlan:
    """Tell what can be undropped, and how long the last drill took."""
    making = [sessions[part.replica] for part in plan.replicas if part.create or part.late]
    found = all_or_raise(await fan_out((look_for_dropped(one) for one in making), width=width))
    dropped = {session.replica: tables for session, tables in zip(making, found, strict=True)}
    looks = (look_at_replica(one.server, one.shard) for one in sessions.values())
    proofs = [p for look in all_or_raise(await fan_out(looks, width=width)) for p in look.proofs]
    lasts = expected_seconds(plan, proofs)
    return replace(plan, hints=(*undrops(plan, dropped), *_told(lasts)))


@step(task_run_name="dropped-{session.replica}", **HEALING)
async def look_for_dropped(session: ReplicaSession) -> tuple[Dropped, ...]:
    return await read_dropped(session.server)


def _told(sentence: str) -> Iterable[str]:
    return (sentence,) if sentence else ()
