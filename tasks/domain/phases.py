"""The phases of each operation in their order: at the end of each, every replica waits for all.

A flow takes its phases from here and nowhere else, so that whatever is done for each phase (the
progress, interruptions in tests) is done for a new one too.
"""

from collections.abc import Mapping
from enum import StrEnum


class Phase(StrEnum):
    """What an operation does to its replicas between two barriers."""


class BackupPhase(Phase):
    PREFLIGHT = "preflight"
    CREATE = "create"
    UPLOAD = "upload"
    CONFIRM = "confirm"
    JOURNAL = "journal"
    MANIFEST = "manifest"
    CLEAN = "clean"


class RestorePhase(Phase):
    PREFLIGHT = "preflight"
    SETTLE = "settle"
    REGISTRY = "registry"
    PLAN = "plan"
    DOWNLOAD = "download"
    SAFETY_COPY = "safety copy"
    COORDINATION = "coordination"
    DROP = "drop"
    SCHEMA = "schema"
    DATA = "data"
    CATCH_UP = "catch up"
    LATE_TABLES = "late tables"
    COMPARE = "compare"
    CLEAN = "clean"


class PrunePhase(Phase):
    """All but the first come once for each backup that is deleted."""

    LOOK = "look"
    ANNOUNCE = "announce"
    MANIFEST = "manifests"
    DATA = "data"


class VerifyPhase(Phase):
    """Each as far as the level goes."""

    PREFLIGHT = "preflight"
    MANIFEST = "manifest"
    DOWNLOAD = "download"
    RESTORE = "restore"
    CLEAN = "clean"
    PROOF = "proof"


class AdoptPhase(Phase):
    LOOK = "look"
    JOURNAL = "journal"
    MANIFEST = "manifest"
    CLEAN = "clean"


PHASES: Mapping[str, type[Phase]] = {"backup": BackupPhase, "restore": RestorePhase}
