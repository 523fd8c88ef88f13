"""The flow `abort_operation`: stop an operation wherever it is, and take back what it did."""

from datetime import UTC, datetime

from prefect import flow

from tasks.discovery import find_inventory
from tasks.domain.abort_result import abort_outcome
from tasks.domain.inventory import Inventory
from tasks.domain.names import abort_id, checked_operation_id
from tasks.domain.outcomes import AbortOutcome, Attempt
from tasks.domain.requests import AbortOptions
from tasks.operation import operation_under_way
from tasks.runs import concluded


@flow(flow_run_name="abort-{operation_id}", persist_result=False)
async def abort_operation(
    installation: str,
    operation_id: str,
    namespace: str = "default",
    inventory: str | Inventory = "",
    options: AbortOptions = AbortOptions(),
) -> AbortOutcome:
    """Abort an operation on a whole ClickHouse cluster, whether its process is alive or dead.

    Its lock is taken away, its sidecars' commands are killed, and then one rule holds: a backup
    whose manifest any shard lists is finished, any other one is deleted; a restore is undone
    before its first drop, and after it tables are left as they are. Running it again is harmless.

    Args:
        installation: Name of the installation.
        operation_id: The operation to abort.
        namespace: Its Kubernetes namespace.
        inventory: Path of an inventory file (absolute, read where the run runs), or its content.
        options: What is rarely needed.

    Returns:
        The outcome, when the operation is over on every replica.

    Raises:
        OperationIncomplete: it is still open on some replica; the outcome says which, and why.
        BackupError: any other refusal, before anything was stopped.

    """
    aborted = checked_operation_id(operation_id)
    attempt = Attempt(
        operation="abort",
        installation=installation,
        operation_id=abort_id(aborted),
        started=datetime.now(UTC),
    )
    found = find_inventory(inventory, installation=installation, namespace=namespace)
    async with operation_under_way(found, attempt, options, aborts=aborted) as operation:
        abandoned = await operation.abandon(
            aborted, patience_seconds=options.action_timeout_seconds
        )
    return await concluded(abort_outcome(abandoned, attempt, finished=datetime.now(UTC)))
