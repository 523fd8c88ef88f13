"""What must not be registered in the coordination service where a restore creates its tables.

A replica that stays registered at a table's path makes the create fail, or gives its old rows
back: both are found before anything is dropped.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping

from tasks.domain.errors import PreflightFailed
from tasks.domain.inspection import Observation
from tasks.domain.replication import KeeperEntry
from tasks.domain.restore_plan import ReplicaRestore, RestorePlan
from tasks.domain.restore_request import Mode


def paths_to_ask(plan: RestorePlan) -> dict[str, tuple[str, ...]]:
    """Choose the replica that looks at each path: one of those that create a table there."""
    asked: dict[str, str] = {}
    for part in plan.replicas:
        for _, entry in _to_register(part):
            asked.setdefault(entry.path, part.replica)
    found: dict[str, list[str]] = defaultdict(list)
    for path, replica in asked.items():
        found[replica].append(path)
    return {replica: tuple(paths) for replica, paths in found.items()}


def demand_no_strangers(
    plan: RestorePlan, observed: Observation, registered: Mapping[str, Iterable[str]]
) -> None:
    """Raise PreflightFailed naming every replica in the way. `registered`: path -> its replicas."""
    ours = {(entry.path, entry.replica_name) for entry in _expected(plan, observed)}
    strangers = [
        KeeperEntry(path, name)
        for path, names in sorted(registered.items())
        for name in sorted(names)
        if (path, name) not in ours
    ]
    findings = [*_twins(plan), *(_finding(stranger, plan, observed) for stranger in strangers)]
    if findings:
        message = f"{plan.backup_name} cannot be restored: {'; '.join(findings)}"
        raise PreflightFailed(message)


def _to_register(part: ReplicaRestore) -> Iterator[tuple[str, KeeperEntry]]:
    """List the replicated tables that this replica will create, and where."""
    if part.need.drops:
        yield from part.entries.items()


def _expected(plan: RestorePlan, observed: Observation) -> Iterator[KeeperEntry]:
    """List the entries of tables that this restore drops, made itself, or joins by intention."""
    joined = plan.request.mode is Mode.MISSING
    made = {table.full_name for part in plan.replicas for table in part.restored if joined}
    for part in plan.replicas:
        names = part.names
        for state in observed.of(part.replica).replication:
            if state.table in names | made:
                yield KeeperEntry(state.path, state.replica_name)


def _twins(plan: RestorePlan) -> list[str]:
    """Find replicas that would be registered under one name: a definition spells it out."""
    wanted = Counter(entry for part in plan.replicas for _, entry in _to_register(part))
    return [
        f"{entry.path} would get the replica {entry.replica_name} {count} times: the definition "
        "that the backup holds spells out the replica's name instead of {replica}; back up "
        "AllReplicas"
        for entry, count in wanted.items()
        if count > 1
    ]


def _finding(stranger: KeeperEntry, plan: RestorePlan, observed: Observation) -> str:
    told = f"{stranger.replica_name} is registered at {stranger.path}"
    for seen in observed.inspections:
        for state in seen.replication:
            if (state.path, state.replica_name) == (stranger.path, stranger.replica_name):
                return f"{told} as {state.table} of {seen.replica}, which this restore leaves alone"
    cure = f"SYSTEM DROP REPLICA '{stranger.replica_name}' FROM ZKPATH '{stranger.path}'"
    for part in plan.replicas:
        for name, entry in _to_register(part):
            if entry == stranger:
                return (
                    f"{told}, but {name} does not stand on {part.replica}: the replica was lost; "
                    f"run `{cure}` on another server"
                )
    return (
        f"{told} and no server of this cluster holds it: if it is alive, name its server in the "
        f"inventory; if it was lost for good, run `{cure}`"
    )
