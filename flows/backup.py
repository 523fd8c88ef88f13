"""The flow `backup_cluster`: freeze every shard at once, upload in parallel, commit by manifest."""

from dataclasses import replace
from datetime import UTC, datetime

from prefect import flow

from tasks.backup import (
    confirm_shard_backup,
    create_shard_backup,
    lists_backup,
    note_manifest,
    noted_manifest,
    siblings_of,
    upload_shard_backup,
    write_manifest,
)
from tasks.discovery import find_inventory
from tasks.domain.backup_plan import BackupPlan, doubtful_paths, plan_backup
from tasks.domain.backup_result import Stored, backup_outcome, manifest_of, text_to_commit
from tasks.domain.base_choice import Wish
from tasks.domain.coverage import coverage_of
from tasks.domain.inspection import Observation
from tasks.domain.inventory import Inventory
from tasks.domain.manifest_summary import ManifestSummary
from tasks.domain.names import default_backup_name
from tasks.domain.outcomes import Attempt, BackupOutcome
from tasks.domain.phases import BackupPhase
from tasks.domain.requests import NONE, BackupOptions, BackupRequest, ReplicaSelection
from tasks.domain.rerun import begun_as
from tasks.fleet import Fleet, failed, succeeded
from tasks.leftovers import delete_leftovers
from tasks.operation import Operation, operation_under_way
from tasks.preflight import prove_overrides, prove_paths
from tasks.reports import report_plan
from tasks.runs import concluded, this_attempt


@flow(flow_run_name="backup-{installation}", persist_result=False)
async def backup_cluster(
    installation: str,
    namespace: str = "default",
    inventory: str | Inventory = "",
    backup_name: str = "",
    tables: list[str] = [],
    partitions: list[str] = [],
    schema_only: bool = False,
    replica_selection: ReplicaSelection = ReplicaSelection.FIRST_PER_SHARD,
    incremental: str = NONE,
    schedule: str = "",
    operation_id: str = "",
    options: BackupOptions = BackupOptions(),
) -> BackupOutcome:
    """Back up a whole ClickHouse cluster under one name.

    Every shard is frozen at the same time, uploaded by its own sidecar and confirmed; then a
    manifest beside the data makes the whole a recovery point.

    Args:
        installation: Name of the installation.
        namespace: Its Kubernetes namespace.
        inventory: Path of an inventory file (absolute, read where the run runs), or its content.
        backup_name: Name of the backup; empty: the installation's name and the time in UTC.
        tables: Patterns like shop.orders or shop.*; empty: every table.
        partitions: Partition ids, each alone or as database.table:id; empty: every partition.
        schema_only: Keep definitions, no rows.
        replica_selection: FirstPerShard stores one healthy replica of each shard, AllReplicas all.
        incremental: none, or what to build on: auto (the newest usable backup), or its name.
        schedule: Name of the schedule that this backup belongs to; empty: none.
        operation_id: Give the id of an interrupted backup to finish it; empty: a new one.
        options: What is rarely needed.

    Returns:
        The outcome, when every shard is complete.

    Raises:
        OperationIncomplete: some shard is missing; the outcome says which, why and what to do.
        BackupError: any other refusal, before a backup was begun.

    """
    request = BackupRequest.from_form(
        backup_name=backup_name or None,
        tables=tuple(tables),
        partitions=tuple(partitions),
        schema_only=schema_only,
        replica_selection=replica_selection,
        incremental=incremental,
        schedule=schedule,
        options=options,
    )
    attempt = this_attempt("backup", installation, operation_id)
    found = find_inventory(inventory, installation=installation, namespace=namespace)
    async with operation_under_way(found, attempt, options) as operation:
        observed = await operation.observe()
        wish = _wish(request, observed, attempt)
        outcome = await _carried_out(wish, operation, observed)
    return await concluded(outcome)


def _wish(request: BackupRequest, observed: Observation, attempt: Attempt) -> Wish:
    begun = begun_as(observed, attempt, request=request.without_options())
    default = default_backup_name(attempt.installation, attempt.started)
    return Wish(
        request=request,
        backup_name=begun or request.backup_name or default,
        operation_id=attempt.operation_id,
        now=attempt.started,
    )


async def _carried_out(wish: Wish, operation: Operation, observed: Observation) -> BackupOutcome:
    name, request = wish.backup_name, wish.request
    wish = replace(wish, catalogue=await operation.glance())
    plan = plan_backup(wish, operation.topology, observed)  # refuses before anything is sent
    fleet = await operation.begin(
        observed,
        name=name,
        request=request.without_options(),
        steps=len(BackupPhase) * len(plan.replicas),
    )
    if request.incremental != NONE:  # once more, with manifests that could not be read before
        wish = replace(wish, catalogue=await operation.catalogue())
        plan = plan_backup(wish, operation.topology, observed)
    await report_plan([chosen.sentence for chosen in plan.replicas], title="Backup plan")
    chosen = [replica.replica for replica in plan.replicas]
    await fleet.demand(BackupPhase.PREFLIGHT, chosen, prove_overrides)
    doubtful = doubtful_paths([observed.of(replica) for replica in chosen])
    await prove_paths(fleet.sessions, doubtful, name, width=request.options.concurrency)
    stored, made = await _stored(fleet, plan), None
    if not stored.errors:
        manifest = manifest_of(plan, operation.topology, operation.attempt, stored)
        noted = await noted_manifest(fleet.sessions, observed, name)
        stored = await _committed(fleet, plan, text_to_commit(manifest, noted=noted), stored)
        made = ManifestSummary.of(manifest) if stored.committed else None
    coverage = coverage_of(observed, wish.catalogue, made=made)
    finished = datetime.now(UTC)
    return backup_outcome(plan, operation.attempt, stored, finished=finished, coverage=coverage)


async def _stored(fleet: Fleet, plan: BackupPlan) -> Stored:
    """Freeze, upload, confirm; a shard that fails in one phase is left out of the next."""
    name, request = plan.backup_name, plan.request
    limit = request.options.max_upload_bytes_per_second
    frozen = await fleet.phase(
        BackupPhase.CREATE,
        [chosen.replica for chosen in plan.replicas],
        lambda session: create_shard_backup(session, plan.of(session.replica), name, request),
    )
    records = succeeded(frozen)
    uploaded = await fleet.phase(
        BackupPhase.UPLOAD,
        records,
        lambda session: upload_shard_backup(session, records[session.replica], name, limit),
    )
    confirmed = await fleet.phase(
        BackupPhase.CONFIRM,
        succeeded(uploaded),
        lambda session: confirm_shard_backup(session, records[session.replica], name),
    )
    listed = await fleet.phase(
        BackupPhase.CONFIRM,
        siblings_of(records, fleet.sessions.values()),
        lambda session: lists_backup(session, name),
    )
    return Stored(
        records=records,
        sizes=succeeded(confirmed),
        unseen=tuple(replica for replica, sees in succeeded(listed).items() if not sees),
        errors=failed(frozen, uploaded, confirmed),
    )


async def _committed(fleet: Fleet, plan: BackupPlan, text: str, stored: Stored) -> Stored:
    """Write the manifest beside every shard's data, and only then forget the local copies."""
    name = plan.backup_name
    noted = await fleet.phase(
        BackupPhase.JOURNAL, stored.records, lambda session: note_manifest(session, name, text)
    )
    if failed(noted):  # so that one journal without the text proves that no copy was written
        return replace(stored, errors=failed(noted))
    first = min(stored.records)  # one summary for the catalogue is enough
    written = await fleet.phase(
        BackupPhase.MANIFEST,
        stored.records,
        lambda session: write_manifest(session, name, text, remember=session.replica == first),
    )
    others = [replica for replica in fleet.sessions if replica not in stored.records]
    cleaned = await fleet.phase(
        BackupPhase.CLEAN,
        [*succeeded(written), *others],
        lambda session: delete_leftovers(session, name),
    )
    return replace(stored, committed=frozenset(succeeded(written)), errors=failed(written, cleaned))
