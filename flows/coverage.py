"""The flow `report_coverage`: what no recovery point holds, and what changed since the newest."""

from datetime import UTC, datetime

from prefect import flow

from tasks.catalogue import look_at_backups
from tasks.clickhouse.client import open_cluster
from tasks.discovery import find_inventory, inspect_cluster
from tasks.domain.coverage_result import CoverageOutcome, coverage_outcome
from tasks.domain.inventory import Inventory
from tasks.domain.requests import Options
from tasks.runs import concluded, this_attempt


@flow(flow_run_name="coverage-{installation}", persist_result=False)
async def report_coverage(
    installation: str,
    namespace: str = "default",
    inventory: str | Inventory = "",
    operation_id: str = "",
    options: Options = Options(),
) -> CoverageOutcome:
    """Say which rows of a ClickHouse cluster lie in no recovery point.

    Also which tables were created, dropped or defined anew since the newest full one. Nothing is
    written and no lock is taken, so it may run while a backup does.

    Args:
        installation: Name of the installation.
        namespace: Its Kubernetes namespace.
        inventory: Path of an inventory file (absolute, read where the run runs), or its content.
        operation_id: Rarely needed; empty: a new one.
        options: What is rarely needed.

    Returns:
        The outcome, with every table that is not covered.

    Raises:
        BackupError: the cluster cannot be looked at at all.

    """
    attempt = this_attempt("coverage", installation, operation_id)
    found = find_inventory(inventory, installation=installation, namespace=namespace)
    async with open_cluster(found) as cluster:
        width = options.concurrency
        observed = await inspect_cluster(cluster, operation_id=attempt.operation_id, width=width)
        catalogue = await look_at_backups(cluster, width=width)
    outcome = coverage_outcome(observed, catalogue, attempt, finished=datetime.now(UTC))
    return await concluded(outcome)
