"""The flow `list_backups`: which backups there are, what each is worth, and which hold a table."""

from datetime import UTC, datetime

from prefect import flow

from tasks.catalogue import look_at_backups
from tasks.clickhouse.client import open_cluster
from tasks.discovery import find_inventory
from tasks.domain.catalogue import Catalogue
from tasks.domain.catalogue_result import ListOutcome, catalogue_outcome
from tasks.domain.errors import BackupError
from tasks.domain.inventory import Inventory
from tasks.domain.names import EVERY_BACKUP
from tasks.domain.outcomes import Attempt
from tasks.domain.requests import ListOptions
from tasks.domain.tables import checked_patterns
from tasks.operation import operation_under_way
from tasks.runs import concluded, this_attempt


@flow(flow_run_name="list-{installation}", persist_result=False)
async def list_backups(
    installation: str,
    namespace: str = "default",
    inventory: str | Inventory = "",
    tables: list[str] = [],
    operation_id: str = "",
    options: ListOptions = ListOptions(),
) -> ListOutcome:
    """List the backups of a whole ClickHouse cluster, and what each is worth.

    What every shard lists is merged; manifests that are not known yet are read from the bucket.
    Nothing that a replica does not show is taken for absent unless that is sure.

    Args:
        installation: Name of the installation.
        namespace: Its Kubernetes namespace.
        inventory: Path of an inventory file (absolute, read where the run runs), or its content.
        tables: Patterns like shop.orders; only backups that hold one are listed, with its rows.
        operation_id: Rarely needed; empty: a new one.
        options: What is rarely needed.

    Returns:
        The outcome, with every backup.

    Raises:
        BackupError: the cluster cannot be looked at at all.

    """
    patterns = checked_patterns(tables)
    attempt = this_attempt("list", installation, operation_id)
    found = find_inventory(inventory, installation=installation, namespace=namespace)
    async with open_cluster(found) as cluster:
        catalogue = await look_at_backups(cluster, width=options.concurrency)
    notes: tuple[str, ...] = ()
    if catalogue.unread:
        try:
            catalogue = await _with_manifests(found, attempt, options)
        except BackupError as error:  # without them the list is poorer, and says so
            names = ", ".join(backup.name for backup in catalogue.unread)
            notes = (f"manifests were not read ({names}): {error}",)
    return await concluded(
        catalogue_outcome(
            catalogue, attempt, tables=patterns, notes=notes, finished=datetime.now(UTC)
        )
    )


async def _with_manifests(
    inventory: Inventory, attempt: Attempt, options: ListOptions
) -> Catalogue:
    async with operation_under_way(inventory, attempt, options) as operation:
        observed = await operation.observe(gives_up=False)  # a look undoes nothing
        await operation.begin(observed, name=EVERY_BACKUP, request={}, steps=1)
        return await operation.catalogue()
