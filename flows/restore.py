"""The flow `restore_cluster`: bring every shard's tables back, exactly once, and prove it."""

from dataclasses import replace
from datetime import UTC, datetime

from prefect import flow

from tasks.discovery import find_inventory
from tasks.domain.inventory import Inventory
from tasks.domain.names import safety_name
from tasks.domain.outcomes import RestoreOutcome
from tasks.domain.phases import RestorePhase
from tasks.domain.requests import RestoreOptions, RestoreRequest
from tasks.domain.rerun import begun_as
from tasks.domain.restore_guard import demand_allowed, demand_listed
from tasks.domain.restore_plan import RestorePlan, plan_restore
from tasks.domain.restore_result import Restored, dry_run_outcome, restore_outcome
from tasks.fleet import Fleet, failed, succeeded
from tasks.leftovers import delete_leftovers
from tasks.operation import Operation, operation_under_way
from tasks.preflight import prove_overrides
from tasks.reports import report_plan
from tasks.restore import (
    any_manifest,
    attach_shard_data,
    create_late_tables,
    create_shard_tables,
    download_shard_backup,
    drop_shard_tables,
    note_plan,
    read_restored_tables,
    settle_down,
    take_safety_copy,
)
from tasks.runs import concluded, this_attempt


@flow(flow_run_name="restore-{installation}", persist_result=False)
async def restore_cluster(
    installation: str,
    backup: str,
    namespace: str = "default",
    inventory: str | Inventory = "",
    overwrite: bool = False,
    schema_only: bool = False,
    accept_loss: list[str] = [],
    dry_run: bool = False,
    approved_plan: str = "",
    operation_id: str = "",
    options: RestoreOptions = RestoreOptions(),
) -> RestoreOutcome:
    """Restore a whole ClickHouse cluster from one of its backups.

    Nothing is destroyed before every replica holds what it needs; rows are attached once; then
    every table is compared with the fingerprint taken at backup time.

    Args:
        installation: Name of the installation.
        backup: Name of the backup.
        namespace: Its Kubernetes namespace.
        inventory: Path of an inventory file (absolute, read where the run runs), or its content.
        overwrite: Drop tables that hold rows, where this backup brings those rows back.
        schema_only: Bring back definitions, no rows.
        accept_loss: Patterns of tables whose rows may be lost for good when overwriting.
        dry_run: Only say what would be done.
        approved_plan: Digest of a dry run; any other plan is refused.
        operation_id: Give the id of an interrupted restore to finish it; empty: a new one.
        options: What is rarely needed.

    Returns:
        The outcome, when every table on every replica passed its comparison.

    Raises:
        OperationIncomplete: some replica is not restored; the outcome says why and what to do.
        BackupError: any other refusal, before anything was dropped.

    """
    request = RestoreRequest.from_form(
        backup=backup,
        overwrite=overwrite,
        schema_only=schema_only,
        accept_loss=tuple(accept_loss),
        dry_run=dry_run,
        approved_plan=approved_plan or None,
        options=options,
    )
    attempt = this_attempt("restore", installation, operation_id)
    found = find_inventory(inventory, installation=installation, namespace=namespace)
    async with operation_under_way(found, attempt, options) as operation:
        outcome = await _carried_out(request, operation)
    return await concluded(outcome)


async def _carried_out(request: RestoreRequest, operation: Operation) -> RestoreOutcome:
    attempt = operation.attempt
    observed = await operation.observe()
    begun_as(observed, attempt, request=request.without_options())
    demand_listed(request.backup, observed)
    replicas = [seen.replica for seen in observed.inspections]
    fleet = await operation.begin(
        observed,
        name=request.backup,
        request=request.without_options(),
        steps=len(RestorePhase) * len(replicas),
    )
    plan = await _planned(request, fleet, operation)
    await report_plan(plan.lines, title=f"Restore plan {plan.digest[:12]}")
    if request.dry_run:
        return dry_run_outcome(plan, attempt, finished=datetime.now(UTC))
    await fleet.demand(RestorePhase.PLAN, replicas, lambda session: note_plan(session, plan.digest))
    return restore_outcome(
        plan,
        attempt,
        await _restored(fleet, plan),
        finished=datetime.now(UTC),
        safety_copy=safety_name(attempt.operation_id),
    )


async def _planned(request: RestoreRequest, fleet: Fleet, operation: Operation) -> RestorePlan:
    """Plan when nothing of an earlier attempt moves any more."""
    await fleet.demand(RestorePhase.PREFLIGHT, fleet.sessions, prove_overrides)
    await fleet.demand(RestorePhase.SETTLE, fleet.sessions, settle_down)
    observed = await operation.observe()
    sources = [fleet.sessions[name] for name in demand_listed(request.backup, observed)]
    manifest = await any_manifest(sources, request.backup)
    own = operation.attempt.operation_id
    plan = plan_restore(request, manifest, operation.topology, observed, operation_id=own)
    demand_allowed(plan, manifest, observed, operation_id=own)
    return plan


async def _restored(fleet: Fleet, plan: RestorePlan) -> Restored:
    """Carry out the phases, a barrier after each; what destroys waits for all that prepares."""
    name, options = plan.backup_name, plan.request.options
    limit = options.max_download_bytes_per_second
    everywhere = [part.replica for part in plan.replicas]
    downloaded = await fleet.phase(
        RestorePhase.DOWNLOAD,
        everywhere,
        lambda session: download_shard_backup(session, plan.of(session.replica), name, limit),
    )
    saved = await fleet.phase(
        RestorePhase.SAFETY_COPY,
        everywhere if options.keep_safety_copy else [],
        lambda session: take_safety_copy(session, plan.of(session.replica)),
    )
    prepared = Restored(
        phases=dict.fromkeys(succeeded(downloaded), "downloaded"),
        saved=frozenset(replica for replica, took in succeeded(saved).items() if took),
        errors=failed(downloaded, saved),
    )
    return prepared if prepared.errors else await _replaced(fleet, plan, prepared)


async def _replaced(fleet: Fleet, plan: RestorePlan, prepared: Restored) -> Restored:
    """Drop, create, attach; then look at what stands there."""
    name = plan.backup_name
    request = plan.request
    dropped = await fleet.phase(
        RestorePhase.DROP,
        prepared.phases,
        lambda session: drop_shard_tables(session, plan.of(session.replica), request),
    )
    created = await fleet.phase(
        RestorePhase.SCHEMA,
        plan.unhurt(failed(dropped)),
        lambda session: create_shard_tables(session, plan.of(session.replica), name),
    )
    filled = await fleet.phase(
        RestorePhase.DATA,
        plan.unhurt(failed(dropped, created)),
        lambda session: attach_shard_data(session, plan.of(session.replica), name),
    )
    late = await fleet.phase(
        RestorePhase.LATE_TABLES,
        plan.unhurt(failed(dropped, created, filled)),
        lambda session: create_late_tables(session, plan.of(session.replica), name),
    )
    tables = await fleet.phase(RestorePhase.COMPARE, succeeded(late), read_restored_tables)
    cleaned = await fleet.phase(
        RestorePhase.CLEAN, succeeded(tables), lambda session: delete_leftovers(session, name)
    )
    return replace(
        prepared,
        phases={
            **prepared.phases,
            **dict.fromkeys(succeeded(dropped), "dropped"),
            **dict.fromkeys(succeeded(created), "created"),
            **dict.fromkeys(succeeded(filled), "filled"),
            **dict.fromkeys(succeeded(tables), "restored"),
        },
        rows=succeeded(filled),
        tables=succeeded(tables),
        errors=failed(dropped, created, filled, late, tables, cleaned),
    )
