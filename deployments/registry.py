"""The Prefect deployments: one constant each, so that nobody spells a name twice."""

from dataclasses import dataclass
from typing import Any

from prefect.flows import Flow, load_flow_from_entrypoint

WORK_POOL = "chops"
# Prefect has no roles: who serves this pool, and whether it is served at all, is the protection.
DESTRUCTIVE_WORK_POOL = "chops-destructive"


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """A flow to be run from the form, a schedule or the API.

    The entrypoint is dotted: by a file's path, Prefect would import the flow a second time under
    another module name.
    """

    entrypoint: str
    name: str
    destructive: bool

    @property
    def flow_name(self) -> str:
        return self.entrypoint.rpartition(".")[2].replace("_", "-")

    @property
    def full_name(self) -> str:
        return f"{self.flow_name}/{self.name}"

    @property
    def tags(self) -> tuple[str, ...]:
        return ("chops", "destructive") if self.destructive else ("chops",)

    def load_flow(self) -> Flow[..., Any]:
        return load_flow_from_entrypoint(self.entrypoint)


BACKUP_ON_DEMAND = Deployment(
    entrypoint="flows.backup.backup_cluster", name="on-demand", destructive=False
)
LIST_ON_DEMAND = Deployment(
    entrypoint="flows.list.list_backups", name="on-demand", destructive=False
)
COVERAGE_ON_DEMAND = Deployment(
    entrypoint="flows.coverage.report_coverage", name="on-demand", destructive=False
)
ADOPT_ON_DEMAND = Deployment(
    entrypoint="flows.adopt.adopt_backup", name="on-demand", destructive=False
)
VERIFY_ON_DEMAND = Deployment(
    entrypoint="flows.verify.verify_backup", name="on-demand", destructive=False
)
RESTORE_ON_DEMAND = Deployment(
    entrypoint="flows.restore.restore_cluster", name="on-demand", destructive=True
)
ABORT_ON_DEMAND = Deployment(
    entrypoint="flows.abort.abort_operation", name="on-demand", destructive=True
)
PRUNE_ON_DEMAND = Deployment(
    entrypoint="flows.prune.prune_backups", name="on-demand", destructive=True
)
HOLD_ON_DEMAND = Deployment(
    entrypoint="flows.hold.hold_installation", name="on-demand", destructive=True
)

DEPLOYMENTS = (
    BACKUP_ON_DEMAND,
    LIST_ON_DEMAND,
    COVERAGE_ON_DEMAND,
    VERIFY_ON_DEMAND,
    ADOPT_ON_DEMAND,
    RESTORE_ON_DEMAND,
    ABORT_ON_DEMAND,
    PRUNE_ON_DEMAND,
    HOLD_ON_DEMAND,
)
