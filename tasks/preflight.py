"""Ask the sidecars themselves, under the lock, what no listing can tell. Nothing is left behind."""

from collections.abc import Mapping, Sequence

from tasks.clickhouse import commands
from tasks.clickhouse.listing import read_listing
from tasks.clickhouse.manifest import delete_companion, write_companion
from tasks.clickhouse.session import ReplicaSession
from tasks.clickhouse.tidy import tidied
from tasks.domain.errors import ActionFailed, PreflightFailed, StorageUnavailable
from tasks.domain.journal import Event, Step
from tasks.domain.names import probe_name
from tasks.fan_out import HEALING, all_or_raise, fan_out, step

_NOBODY = "chops-nosuch"
_OBEYS = 'shall not be "none"'


@step(task_run_name="probe-{session.replica}", **HEALING)
async def prove_overrides(session: ReplicaSession) -> None:
    """Demand that the sidecar obeys `--env`: else its own retention would delete backups."""
    if (await session.journal()).did(Step.OVERRIDES):
        return
    command = commands.probe_overrides(_NOBODY, session.sidecar.token())
    try:
        await session.sidecar.perform(command)
    except ActionFailed as error:
        if _OBEYS in str(error):
            await session.note(Event.STEP, Step.OVERRIDES)
            return
    message = (
        f"{session.place}: its sidecar ignores --env overrides "
        "(general.disable_environment_override), so its own retention could delete other backups"
    )
    raise PreflightFailed(message)


async def prove_paths(
    sessions: Mapping[str, ReplicaSession], doubtful: Sequence[str], backup: str, *, width: int
) -> None:
    """Demand that replicas whose listings leave a doubt do not share one remote path.

    Each uploads a one-row companion of its own name; none may then list another one's.
    Raises PreflightFailed naming every pair that shares.
    """
    members = [sessions[replica] for replica in doubtful]
    names = {session.replica: probe_name(backup, i) for i, session in enumerate(members)}

    async def remove_all() -> None:
        gone = (remove_probe(session, names[session.replica]) for session in members)
        all_or_raise(await fan_out(gone, width=width))

    async with tidied(remove_all):
        written = (write_probe(session, names[session.replica]) for session in members)
        all_or_raise(await fan_out(written, width=width))
        looks = (listed_probes(s, names[s.replica]) for s in members)
        listed = all_or_raise(await fan_out(looks, width=width))
        findings = shared_paths(names, dict(zip(names, listed, strict=True)))
    if findings:
        message = (
            "remote paths are shared, so one backup would overwrite another: "
            f"{'; '.join(findings)}. Put {{shard}} (and {{replica}} for AllReplicas) into the path"
        )
        raise PreflightFailed(message)


@step(task_run_name="write-probe-{session.replica}", **HEALING)
async def write_probe(session: ReplicaSession, name: str) -> None:
    await write_companion(session.sidecar, name, session.replica)


@step(task_run_name="read-probe-{session.replica}", **HEALING)
async def listed_probes(session: ReplicaSession, own: str) -> frozenset[str]:
    """Read the names of remote backups that this replica sees; its `own` probe must be there."""
    names = {row.name for row in (await read_listing(session.server)).remote_rows}
    if own not in names:
        message = f"{session.replica} does not list what it uploaded: its storage is away"
        raise StorageUnavailable(message)
    return frozenset(names)


def shared_paths(names: Mapping[str, str], listed: Mapping[str, frozenset[str]]) -> list[str]:
    """Tell which replicas see another one's probe. `names`: replica -> the name of its probe."""
    owners = {name: replica for replica, name in names.items()}
    return [
        f"{replica} and {owners[name]} share one"
        for replica, seen in listed.items()
        for name in sorted(seen & owners.keys())
        if owners[name] != replica
    ]


@step(task_run_name="remove-probe-{session.replica}", **HEALING)
async def remove_probe(session: ReplicaSession, name: str) -> None:
    await delete_companion(session.sidecar, name)
