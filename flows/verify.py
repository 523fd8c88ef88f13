"""The flow `verify_backup`: every shard tries its copy of a backup, up to a drill of a restore."""

from dataclasses import replace
from datetime import UTC, datetime

from prefect import flow

from tasks.discovery import find_inventory
from tasks.domain.fingerprint import Verdict
from tasks.domain.inspection import Observation
from tasks.domain.inventory import Inventory
from tasks.domain.manifest import Manifest
from tasks.domain.names import EVERY_BACKUP
from tasks.domain.phases import VerifyPhase
from tasks.domain.rerun import begun_as
from tasks.domain.trials import cramped, fit_only, trials_of
from tasks.domain.verification import (
    Verified,
    error_findings,
    proof_of,
    seconds_to_restore,
    verify_outcome,
)
from tasks.domain.verify_choice import point_of
from tasks.domain.verify_listing import sources_of
from tasks.domain.verify_outcome import VerifyOutcome
from tasks.domain.verify_request import LevelWord, VerifyLevel, VerifyOptions, VerifyRequest
from tasks.fleet import Fleet, failed, succeeded
from tasks.leftovers import delete_leftovers
from tasks.operation import Operation, operation_under_way
from tasks.preflight import prove_overrides
from tasks.reports import report_plan
from tasks.runs import concluded, this_attempt
from tasks.verify import look_at_listings, note_proof, read_manifests, try_download, try_restore


@flow(flow_run_name="verify-{installation}", persist_result=False)
async def verify_backup(
    installation: str,
    backup: str,
    namespace: str = "default",
    inventory: str | Inventory = "",
    level: LevelWord = VerifyLevel.RESTORE.value,
    drill_target: str = "",
    operation_id: str = "",
    options: VerifyOptions = VerifyOptions(),
) -> VerifyOutcome:
    """Verify a backup on every shard: that it is listed, can be downloaded, can be restored.

    A drill restores all rows into scratch databases, compares them with the fingerprint, reads
    them, and says how long that took. Nothing of it stays; nothing that is in use is touched.

    Args:
        installation: Name of the installation.
        backup: Name of the backup, or latest or oldest: of the recovery points that count.
        namespace: Its Kubernetes namespace.
        inventory: Path of an inventory file (absolute, read where the run runs), or its content.
        level: listing looks only, download fetches every part, restore is a drill.
        drill_target: Leave it empty; a drill on another cluster is not supported.
        operation_id: Give the id of an interrupted verification to do it again; empty: a new one.
        options: What is rarely needed.

    Returns:
        The outcome, when the verdict is passed.

    Raises:
        OperationIncomplete: the verdict is failed or could not tell; the findings say why.
        BackupError: any other refusal, before anything was downloaded.

    """
    request = VerifyRequest.from_form(
        backup=backup, level=level, drill_target=drill_target, options=options
    )
    attempt = this_attempt("verify", installation, operation_id)
    found = find_inventory(inventory, installation=installation, namespace=namespace)
    async with operation_under_way(found, attempt, options) as operation:
        outcome = await _carried_out(request, operation)
    return await concluded(outcome)


async def _carried_out(request: VerifyRequest, operation: Operation) -> VerifyOutcome:
    observed, asked = await operation.observe(), request.without_options()
    begun = begun_as(observed, operation.attempt, request=asked)
    notes: tuple[str, ...] = ()
    if request.selects:
        name, notes = await _chosen(request, operation, observed, begun)
        request = request.of(name)
    sources = sources_of(request.backup, observed)
    fleet = await operation.begin(
        observed,
        name=request.backup,
        request=asked,
        steps=len(VerifyPhase) * len(observed.inspections),
    )
    proven = await fleet.phase(VerifyPhase.PREFLIGHT, fleet.sessions, prove_overrides)
    able = [name for name in sources if name in succeeded(proven)]
    fit = fit_only(observed, failed(proven))
    manifest, wrong = await read_manifests(fleet, able, request.backup, fit)
    verified = Verified()
    if manifest is not None:
        verified = await _tried(operation, fleet, request, manifest, fit)
    name = request.backup
    cleaned = await fleet.phase(
        VerifyPhase.CLEAN, fleet.sessions, lambda session: delete_leftovers(session, name)
    )
    left = error_findings(request.level, observed, failed(cleaned), left_over=True)
    verified = replace(verified, findings=(*wrong, *verified.findings, *left), notes=notes)
    outcome = verify_outcome(request, operation.attempt, verified, finished=datetime.now(UTC))
    if manifest is not None and outcome.verdict is not Verdict.UNKNOWN:
        proof = proof_of(outcome, manifest)
        await fleet.phase(
            VerifyPhase.PROOF, fleet.sessions, lambda session: note_proof(session, proof)
        )
    return outcome


async def _chosen(
    request: VerifyRequest, operation: Operation, observed: Observation, begun: str | None
) -> tuple[str, tuple[str, ...]]:
    """Choose a point, and say why; a rerun takes the one that was chosen before."""
    if begun not in (None, EVERY_BACKUP):
        return str(begun), ()
    asked = request.without_options()
    await operation.begin(observed, name=EVERY_BACKUP, request=asked, steps=1)
    return point_of(await operation.catalogue(), request.backup)


async def _tried(
    operation: Operation,
    fleet: Fleet,
    request: VerifyRequest,
    manifest: Manifest,
    observed: Observation,
) -> Verified:
    """Go as far as the level says; a copy that fails at one level is not tried at the next."""
    listed = await look_at_listings(operation, manifest, observed)
    if request.level is VerifyLevel.LISTING:
        return Verified(findings=listed)
    options, name = request.options, request.backup
    chosen = trials_of(manifest, observed, keep_free_bytes=options.keep_free_bytes)
    full = cramped(chosen, observed, keep_free_bytes=options.keep_free_bytes)
    trials = {trial.replica: trial for trial in chosen if trial.replica not in full}
    await report_plan([trial.sentence for trial in chosen], title=f"Verification of {name}")
    limit = options.max_download_bytes_per_second
    fetched = await fleet.phase(
        VerifyPhase.DOWNLOAD,
        trials,
        lambda session: try_download(session, trials[session.replica], name, limit),
    )
    usable = [replica for replica, tried in succeeded(fetched).items() if tried.usable]
    drilled = await fleet.phase(
        VerifyPhase.RESTORE,
        usable if request.level is VerifyLevel.RESTORE else [],
        lambda session: try_restore(session, trials[session.replica], name),
    )
    tried = [*succeeded(fetched).values(), *succeeded(drilled).values()]
    return Verified(
        findings=(
            *listed,
            *full.values(),
            *(finding for one in tried for finding in one.findings),
            *error_findings(VerifyLevel.DOWNLOAD, observed, failed(fetched)),
            *error_findings(VerifyLevel.RESTORE, observed, failed(drilled)),
        ),
        seconds=seconds_to_restore(trials.values(), succeeded(fetched), succeeded(drilled)),
    )
