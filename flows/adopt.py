"""The flow `adopt_backup`: give a backup that was made by hand a manifest, so that it counts."""

from datetime import UTC, datetime

from prefect import flow

from tasks.backup import note_manifest, noted_manifest, write_manifest
from tasks.clickhouse.parts import read_frozen
from tasks.discovery import find_inventory
from tasks.domain.adoption import adopted, adoption_outcome, demand_adoptable
from tasks.domain.inspection import Observation
from tasks.domain.inventory import Inventory
from tasks.domain.manifest import Manifest
from tasks.domain.names import checked_backup_name
from tasks.domain.outcomes import Outcome
from tasks.domain.phases import AdoptPhase
from tasks.domain.requests import Options
from tasks.domain.rerun import begun_as
from tasks.fleet import Fleet, failed
from tasks.leftovers import delete_leftovers
from tasks.operation import Operation, operation_under_way
from tasks.runs import concluded, this_attempt


@flow(flow_run_name="adopt-{installation}", persist_result=False)
async def adopt_backup(
    installation: str,
    backup: str,
    namespace: str = "default",
    inventory: str | Inventory = "",
    operation_id: str = "",
    options: Options = Options(),
) -> Outcome:
    """Adopt a backup that lies whole on every shard, but was not made by this product.

    It gets a manifest, so that it is listed, restored, pruned and built upon like any other. What
    its rows were when it was made nobody knows: verifications of it could not tell.

    Args:
        installation: Name of the installation.
        backup: Name of the backup, the same on every shard.
        namespace: Its Kubernetes namespace.
        inventory: Path of an inventory file (absolute, read where the run runs), or its content.
        operation_id: Give the id of an interrupted adoption to finish it; empty: a new one.
        options: What is rarely needed.

    Returns:
        The outcome, when every shard lists the manifest.

    Raises:
        OperationIncomplete: some shard has no manifest; the outcome says which, why and what to do.
        BackupError: any other refusal, before anything was written.

    """
    checked_backup_name(backup)
    attempt = this_attempt("adopt", installation, operation_id)
    found = find_inventory(inventory, installation=installation, namespace=namespace)
    async with operation_under_way(found, attempt, options) as operation:
        outcome = await _carried_out(backup, operation)
    return await concluded(outcome)


async def _carried_out(backup: str, operation: Operation) -> Outcome:
    observed = await operation.observe()
    request = {"backup": backup}
    begun_as(observed, operation.attempt, request=request)
    replicas = [seen.replica for seen in observed.inspections]
    steps = len(AdoptPhase) * len(replicas)
    fleet = await operation.begin(observed, name=backup, request=request, steps=steps)
    text = await noted_manifest(fleet.sessions, observed, backup)
    if not text:
        text = (await _assembled(backup, operation, observed, fleet)).to_text()
    manifest = Manifest.from_text(text, origin=backup)
    holders = [record.replica for record in manifest.replicas]
    await fleet.demand(
        AdoptPhase.JOURNAL, holders, lambda session: note_manifest(session, backup, text)
    )
    first = holders[0]  # one summary for the catalogue is enough
    written = await fleet.phase(
        AdoptPhase.MANIFEST,
        holders,
        lambda session: write_manifest(session, backup, text, remember=session.replica == first),
    )
    cleaned = await fleet.phase(
        AdoptPhase.CLEAN, replicas, lambda session: delete_leftovers(session, backup)
    )
    return adoption_outcome(
        manifest, operation.attempt, errors=failed(written, cleaned), finished=datetime.now(UTC)
    )


async def _assembled(
    backup: str, operation: Operation, observed: Observation, fleet: Fleet
) -> Manifest:
    copies = demand_adoptable(await operation.catalogue(), backup, observed)
    frozen = await fleet.demand(
        AdoptPhase.LOOK,
        [copy.replica for copy in copies],
        lambda session: read_frozen(session.server, backup, location="remote"),
    )
    return adopted(
        backup,
        copies,
        frozen,
        observed,
        operation.topology,
        operation_id=operation.attempt.operation_id,
    )
