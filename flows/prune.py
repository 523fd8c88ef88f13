"""The flow `prune_backups`: decide on every backup, show the plan, delete what is to go."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime

from prefect import flow

from tasks.discovery import find_inventory
from tasks.domain.catalogue import Catalogue
from tasks.domain.errors import BackupNotFound
from tasks.domain.inventory import Inventory
from tasks.domain.journal import Journal
from tasks.domain.names import EVERY_BACKUP
from tasks.domain.phases import PrunePhase
from tasks.domain.prune_plan import PrunePlan, demand_approved, missing_names, plan_prune
from tasks.domain.prune_request import PruneOptions, PruneRequest
from tasks.domain.prune_result import Pruned, PruneOutcome, planned_outcome, prune_outcome
from tasks.domain.rerun import begun_as
from tasks.domain.retention import Circumstances, decide, decide_named, doubts_of, gap_of
from tasks.domain.retention_journal import circumstances_of, to_note
from tasks.fleet import Fleet
from tasks.operation import Operation, operation_under_way
from tasks.prune import Pruning, note_states, read_noted
from tasks.reports import report_sheet
from tasks.runs import concluded, this_attempt


@flow(flow_run_name="prune-{installation}", persist_result=False)
async def prune_backups(
    installation: str,
    namespace: str = "default",
    inventory: str | Inventory = "",
    keep_last: int = 0,
    max_age_days: int = 0,
    hourly: int = 0,
    daily: int = 0,
    weekly: int = 0,
    monthly: int = 0,
    keep_last_remote: int = 0,
    minimum_kept: int = 1,
    pins: list[str] = [],
    prefix: str = "",
    schedule: str = "",
    time_zone: str = "UTC",
    names: list[str] = [],
    cascade: bool = False,
    dry_run: bool = False,
    approved_plan: str = "",
    operation_id: str = "",
    options: PruneOptions = PruneOptions(),
) -> PruneOutcome:
    """Delete backups of a whole ClickHouse cluster, by rules or by name, on every shard.

    A backup stays as long as one rule keeps it; without a rule nothing goes. What is needed by a
    backup that stays, what is not of this cluster and what nobody can tell stays too.

    Args:
        installation: Name of the installation.
        namespace: Its Kubernetes namespace.
        inventory: Path of an inventory file (absolute, read where the run runs), or its content.
        keep_last: Keep that many of the newest; 0: no such rule, here and in the next six.
        max_age_days: Keep those that are at most that many days old.
        hourly: Keep the newest of each of the last so many hours that have one.
        daily: The same for days.
        weekly: The same for weeks, from Monday.
        monthly: The same for months.
        keep_last_remote: Keep that many of the newest that no schedule made, and judge only those.
        minimum_kept: Whatever the rules say, keep at least so many.
        pins: Names of backups that stay.
        prefix: Judge only backups whose name begins like that; empty: all.
        schedule: Judge only backups that this schedule made; empty: all.
        time_zone: In which hours, days, weeks and months begin, like Europe/Berlin.
        names: Delete exactly these instead, whatever rules would say.
        cascade: Delete also what needs one of the names.
        dry_run: Plan only.
        approved_plan: Digest of a dry run's plan: refuse to delete anything else.
        operation_id: Give the id of an interrupted prune to finish it; empty: a new one.
        options: What is rarely needed.

    Returns:
        The outcome, when all that was to go is gone.

    Raises:
        OperationIncomplete: something still stands, or nobody can tell; the outcome says why.
        BackupError: any other refusal, before anything was deleted.

    """
    request = PruneRequest.from_form(
        keep_last=keep_last,
        max_age_days=max_age_days,
        hourly=hourly,
        daily=daily,
        weekly=weekly,
        monthly=monthly,
        keep_last_remote=keep_last_remote,
        minimum_kept=minimum_kept,
        pins=tuple(pins),
        prefix=prefix,
        schedule=schedule,
        time_zone=time_zone,
        names=tuple(names),
        cascade=cascade,
        dry_run=dry_run,
        approved_plan=approved_plan or None,
        options=options,
    )
    attempt = this_attempt("prune", installation, operation_id)
    found = find_inventory(inventory, installation=installation, namespace=namespace)
    async with operation_under_way(found, attempt, options) as operation:
        outcome = await _carried_out(request, operation)
    return await concluded(outcome)


async def _carried_out(request: PruneRequest, operation: Operation) -> PruneOutcome:
    attempt = operation.attempt
    observed = await operation.observe()
    asked = request.without_options()
    is_first = begun_as(observed, attempt, request=asked) is None
    steps = 2 * len(observed.inspections)
    fleet = await operation.begin(observed, name=EVERY_BACKUP, request=asked, steps=steps)
    catalogue = await operation.catalogue()
    journals = await fleet.demand(PrunePhase.LOOK, fleet.sessions, read_noted)
    missing = missing_names(request.names, catalogue)
    doubts = doubts_of(catalogue)
    if missing and is_first and not doubts:
        message = f"no shard lists {', '.join(missing)}"
        raise BackupNotFound(message)
    seen = circumstances_of(journals, catalogue)
    plan = _planned(request, catalogue, seen, now=datetime.now(UTC))
    await report_sheet(plan.sheet)
    if request.dry_run:
        return planned_outcome(plan, attempt, finished=datetime.now(UTC))
    own = [look.journal.of(attempt.operation_id) for look in observed.inspections]
    demand_approved(plan, request.approved_plan, own)
    pruned = await _deleted(fleet, plan, catalogue, journals)
    return prune_outcome(
        plan,
        attempt,
        replace(
            pruned,
            troubles=doubts,
            missing=missing,
            gap="" if request.names else gap_of(catalogue, seen),
        ),
        replicas=[(s.name, r.name) for s in operation.topology.shards for r in s.replicas],
        finished=datetime.now(UTC),
    )


def _planned(
    request: PruneRequest, catalogue: Catalogue, seen: Circumstances, *, now: datetime
) -> PrunePlan:
    if request.names:
        decisions = decide_named(catalogue, request.names, cascade=request.cascade, seen=seen)
    else:
        policy = request.policy
        decisions = decide(
            catalogue, policy, now=now, zone=policy.zone, reach=request.reach, seen=seen
        )
    return plan_prune(catalogue, decisions, pins=request.policy.pins)


async def _deleted(
    fleet: Fleet, plan: PrunePlan, catalogue: Catalogue, journals: Mapping[str, Journal]
) -> Pruned:
    going = {doomed.name for doomed in plan.doomed}
    states = {
        replica: to_note(journal, catalogue, replica, going=going)
        for replica, journal in journals.items()
    }
    pruning = Pruning(fleet, plan)
    fleet.expect(len(fleet.sessions) + pruning.steps)
    await fleet.demand(
        PrunePhase.LOOK,
        fleet.sessions,
        lambda session: note_states(session, states[session.replica], plan.note),
    )
    return await pruning.to_the_end()
