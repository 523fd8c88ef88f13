"""The flow `hold_installation`: stop every prune of an installation until a person clears it."""

from datetime import UTC, datetime

from prefect import flow

from tasks.clickhouse.client import open_cluster
from tasks.discovery import find_inventory
from tasks.domain.errors import BackupError
from tasks.domain.hold_result import HoldOutcome, checked_reason, hold_outcome
from tasks.domain.inventory import Inventory
from tasks.domain.requests import Options
from tasks.fan_out import fan_out
from tasks.hold import note_hold
from tasks.runs import concluded, this_attempt


@flow(flow_run_name="hold-{installation}", persist_result=False)
async def hold_installation(
    installation: str,
    namespace: str = "default",
    inventory: str | Inventory = "",
    reason: str = "",
    release: bool = False,
    operation_id: str = "",
    options: Options = Options(),
) -> HoldOutcome:
    """Hold a ClickHouse installation: no prune deletes anything until the hold is released.

    It takes no lock, so that it stops also a prune that runs: before its next deletion.

    Args:
        installation: Name of the installation.
        namespace: Its Kubernetes namespace.
        inventory: Path of an inventory file (absolute, read where the run runs), or its content.
        reason: Why nothing may be deleted, and who says so.
        release: Clear the hold instead.
        operation_id: Rarely needed; empty: a new one.
        options: What is rarely needed.

    Returns:
        The outcome, when every replica noted it.

    Raises:
        OperationIncomplete: some replica did not note it; the outcome says what that means.
        BackupError: any other refusal.

    """
    told = checked_reason(reason, release=release)
    attempt = this_attempt("hold", installation, operation_id)
    found = find_inventory(inventory, installation=installation, namespace=namespace)
    async with open_cluster(found) as cluster:
        places = [(s.name, r.name) for s in cluster.topology.shards for r in s.replicas]
        ends = await fan_out(
            (
                note_hold(cluster.server(name), attempt, reason=told, release=release)
                for _, name in places
            ),
            width=options.concurrency,
        )
    noted = {
        place: end if isinstance(end, BackupError) else None
        for place, end in zip(places, ends, strict=True)
    }
    finished = datetime.now(UTC)
    outcome = hold_outcome(noted, attempt, reason=told, release=release, finished=finished)
    return await concluded(outcome)
