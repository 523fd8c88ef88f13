"""The flow `restore_cluster`: bring every shard's tables back, exactly once, and prove it."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime

from prefect import flow

from tasks.course import Course
from tasks.discovery import find_inventory, with_parts
from tasks.domain.inspection import Observation
from tasks.domain.inventory import Inventory
from tasks.domain.names import EVERY_BACKUP
from tasks.domain.outcomes import RestoreOutcome
from tasks.domain.phases import RestorePhase
from tasks.domain.rerun import begun_as
from tasks.domain.restore_choice import chosen_of
from tasks.domain.restore_guard import demand_allowed, demand_listed, demand_reachable
from tasks.domain.restore_keeper import demand_no_strangers, paths_to_ask
from tasks.domain.restore_plan import RestorePlan
from tasks.domain.restore_planning import plan_restore
from tasks.domain.restore_request import RestoreOptions, RestoreRequest
from tasks.domain.restore_result import Restored, dry_run_outcome, restore_outcome
from tasks.domain.restore_source import demand_origin, newest_of
from tasks.domain.undo import Kept, demand_copies, manifest_of_copies
from tasks.download import check_safety_copy, download_shard_backup
from tasks.fleet import Fleet
from tasks.leftovers import delete_leftovers
from tasks.operation import Operation, operation_under_way
from tasks.preflight import prove_overrides
from tasks.replication import catch_up, look_at_registry
from tasks.reports import report_plan
from tasks.restore import (
    any_manifest,
    attach_shard_data,
    create_late_tables,
    create_shard_tables,
    drop_shard_tables,
    note_plan,
    read_restored_tables,
    settle_down,
)
from tasks.restore_hints import with_hints
from tasks.runs import concluded, this_attempt
from tasks.safety_copy import read_safety_records, take_safety_copy


@flow(flow_run_name="restore-{installation}", persist_result=False)
async def restore_cluster(
    installation: str,
    backup: str,
    namespace: str = "default",
    inventory: str | Inventory = "",
    from_installation: str = "",
    latest_of: str = "",
    before: str = "",
    tables: list[str] = [],
    partitions: list[str] = [],
    mode: str = "",
    database_mapping: list[str] = [],
    overwrite: bool = False,
    schema_only: bool = False,
    data_only: bool = False,
    accept_loss: list[str] = [],
    dry_run: bool = False,
    approved_plan: str = "",
    operation_id: str = "",
    options: RestoreOptions = RestoreOptions(),
) -> RestoreOutcome:
    """Restore a whole ClickHouse cluster from one of its backups, or undo a restore.

    Nothing is destroyed before every replica holds what it needs; rows are attached once; then
    every table is compared with the fingerprint taken at backup time.

    Args:
        installation: Name of the installation.
        backup: Name of the backup, latest, or pre-restore-<operation id> to undo that restore.
        namespace: Its Kubernetes namespace.
        inventory: Path of an inventory file (absolute, read where the run runs), or its content.
        from_installation: Name of the installation that was backed up, if it is another one.
        latest_of: With latest, only backups whose names begin so.
        before: With latest, only backups that were frozen by then: a time with its zone.
        tables: Restore only tables that match these patterns, such as shop.*; empty: all.
        partitions: Replace only these partitions, by id, or database.table:id for one table.
        mode: With tables that stand: missing restores others only, beside into other databases.
        database_mapping: With beside, database:other says where the tables of a database go.
        overwrite: Drop tables that hold rows, where this backup brings those rows back.
        schema_only: Bring back definitions, no rows.
        data_only: Bring rows into tables that stand already, and create none.
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
        from_installation=from_installation,
        latest_of=latest_of,
        before=before,
        tables=tuple(tables),
        partitions=tuple(partitions),
        mode=mode,
        database_mapping=tuple(database_mapping),
        overwrite=overwrite,
        schema_only=schema_only,
        data_only=data_only,
        accept_loss=tuple(accept_loss),
        dry_run=dry_run,
        approved_plan=approved_plan or None,
        options=options,
    )
    attempt = this_attempt("restore", installation, operation_id)
    found = find_inventory(inventory, installation=installation, namespace=namespace)
    preempts = request.preempts
    async with operation_under_way(found, attempt, options, preempts=preempts) as operation:
        outcome = await _carried_out(request, operation)
    return await concluded(outcome)


async def _carried_out(request: RestoreRequest, operation: Operation) -> RestoreOutcome:
    attempt, asked = operation.attempt, request.without_options()
    observed = await operation.observe()
    begun = begun_as(observed, attempt, request=asked)
    notes: tuple[str, ...] = ()
    if request.selects:
        name, notes = await _chosen(request, operation, observed, begun)
        request = request.of(name)
    _demand_source(request, observed)
    replicas = [seen.replica for seen in observed.inspections]
    fleet = await operation.begin(
        observed,
        name=request.backup,
        request=asked,
        steps=(len(RestorePhase) - (not request.keeps_safety_copy)) * len(replicas),
    )
    plan = await _planned(request, fleet, operation)
    plan = replace(plan, notes=(*notes, *plan.notes))
    if request.dry_run:
        plan = await with_hints(plan, fleet.sessions, width=request.options.concurrency)
    await report_plan(plan.lines, title=f"Restore plan {plan.digest[:12]}")
    if request.dry_run:
        return dry_run_outcome(plan, attempt, finished=datetime.now(UTC))
    await fleet.demand(
        RestorePhase.PLAN,
        replicas,
        lambda session: note_plan(session, plan.digest, plan.missing_on(session.replica)),
    )
    restored = await _restored(fleet, plan)
    return restore_outcome(plan, attempt, restored, finished=datetime.now(UTC))


async def _chosen(
    request: RestoreRequest, operation: Operation, observed: Observation, begun: str | None
) -> tuple[str, tuple[str, ...]]:
    """Choose a backup, and say why; a rerun takes the one that was chosen before."""
    if begun not in (None, EVERY_BACKUP):
        return str(begun), ()
    demand_reachable(observed)
    asked = request.without_options()
    await operation.begin(observed, name=EVERY_BACKUP, request=asked, steps=1)
    choice = newest_of(await operation.catalogue(), request)
    return choice.name, choice.notes


async def _planned(request: RestoreRequest, fleet: Fleet, operation: Operation) -> RestorePlan:
    """Plan when nothing of an earlier attempt moves any more."""
    await fleet.demand(RestorePhase.PREFLIGHT, fleet.sessions, prove_overrides)
    await fleet.demand(RestorePhase.SETTLE, fleet.sessions, settle_down)
    observed = await operation.observe()
    _demand_source(request, observed)
    kept: Mapping[str, Kept] = {}
    if request.undoes:
        width = request.options.concurrency
        kept = await read_safety_records(fleet.sessions, request.undoes, width=width)
        manifest = manifest_of_copies(request.backup, kept, operation.topology)
    else:
        sources = [fleet.sessions[name] for name in demand_listed(request.backup, observed)]
        manifest = await any_manifest(sources, request.backup)
        demand_origin(manifest, request, operation.topology)
    own = operation.attempt.operation_id
    if request.by_partition:
        names = chosen_of(manifest, request).table_names
        width = request.options.concurrency
        observed = await with_parts(observed, fleet.sessions, names, width=width)
    plan = plan_restore(
        request,
        manifest,
        operation.topology,
        observed,
        operation_id=own,
        undone={replica: found.strays for replica, found in kept.items()},
    )
    demand_allowed(plan, observed, operation_id=own)
    paths = paths_to_ask(plan)
    registered = await fleet.demand(
        RestorePhase.REGISTRY,
        fleet.sessions,
        lambda session: look_at_registry(
            session, plan.of(session.replica), paths.get(session.replica, ())
        ),
    )
    found = {path: names for asked in registered.values() for path, names in asked.items()}
    demand_no_strangers(plan, observed, found)
    return plan


def _demand_source(request: RestoreRequest, observed: Observation) -> None:
    demand_reachable(observed)
    if request.undoes:
        demand_copies(request.backup, observed)
    else:
        demand_listed(request.backup, observed)


async def _restored(fleet: Fleet, plan: RestorePlan) -> Restored:
    """Carry out the phases, a barrier after each; what destroys waits for all that prepares."""
    name, options = plan.backup_name, plan.request.options
    limit = options.max_download_bytes_per_second
    course = Course(fleet, plan)
    await course.phase(
        RestorePhase.DOWNLOAD,
        lambda session, part: (
            check_safety_copy(session, part, name)
            if plan.request.undoes
            else download_shard_backup(session, part, name, limit)
        ),
        reached="downloaded",
    )
    saved: Mapping[str, bool] = {}
    if plan.request.keeps_safety_copy:
        saved = await course.phase(
            RestorePhase.SAFETY_COPY,
            lambda session, part: take_safety_copy(session, part, options),
        )
    await course.phase(RestorePhase.COORDINATION, look_at_registry)
    prepared = Restored(
        phases=course.reached,
        saved=frozenset(replica for replica, took in saved.items() if took),
        errors=course.errors,
    )
    return prepared if prepared.errors else await _replaced(course, plan, prepared)


async def _replaced(course: Course, plan: RestorePlan, prepared: Restored) -> Restored:
    """Drop, create, attach; then look at what stands there."""
    name, request = plan.backup_name, plan.request
    patience = request.options.catch_up_timeout_seconds
    await course.phase(
        RestorePhase.DROP,
        lambda session, part: drop_shard_tables(session, part, request),
        reached="dropped",
    )
    await course.phase(
        RestorePhase.SCHEMA,
        lambda session, part: create_shard_tables(session, part, name),
        reached="created",
    )
    attached = await course.phase(
        RestorePhase.DATA,
        lambda session, part: attach_shard_data(session, part, name),
        reached="filled",
    )
    followed = await course.phase(
        RestorePhase.CATCH_UP,
        lambda session, part: catch_up(session, part, course.sources_of(part), patience),
    )
    await course.phase(
        RestorePhase.LATE_TABLES, lambda session, part: create_late_tables(session, part, name)
    )
    tables = await course.phase(RestorePhase.COMPARE, read_restored_tables, reached="restored")
    await course.phase(RestorePhase.CLEAN, lambda session, _: delete_leftovers(session, name))
    return replace(
        prepared,
        phases=course.reached,
        rows={name: (*rows, *followed.get(name, ())) for name, rows in attached.items()},
        tables=tables,
        errors=course.errors,
    )
