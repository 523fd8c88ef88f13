"""Where the programs lie that this project does not write itself."""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from deployments.sandbox.processes import PROJECT, SandboxError

BINARIES = PROJECT / ".peers" / "bin"


@dataclass(frozen=True, slots=True, kw_only=True)
class Binaries:
    """The real sidecar and the S3 server that it uploads to."""

    sidecar: Path
    store: Path

    @classmethod
    def find(cls) -> Self:
        return cls(
            sidecar=find_binary("clickhouse-backup", variable="CLICKHOUSE_BACKUP_BIN"),
            store=find_binary("versitygw", variable="VERSITYGW_BIN"),
        )


def find_binary(name: str, *, variable: str) -> Path:
    """From the variable, from PATH, or from where the project keeps its peers."""
    if named := os.environ.get(variable):
        return Path(named).absolute()
    if found := shutil.which(name, path=os.pathsep.join([os.environ["PATH"], str(BINARIES)])):
        return Path(found)
    message = f"{name} is not installed: set {variable}, or put it on PATH or into {BINARIES}"
    raise SandboxError(message)
