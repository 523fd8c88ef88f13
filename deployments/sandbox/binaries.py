"""Where the programs lie that this project does not write itself."""

import os
import shutil
from pathlib import Path

from deployments.sandbox.processes import PROJECT, SandboxError

BINARIES = PROJECT / ".peers" / "bin"


def find_binary(name: str, *, variable: str) -> Path:
    """From the variable, from PATH, or from where the project keeps its peers."""
    if named := os.environ.get(variable):
        return Path(named)
    if found := shutil.which(name, path=os.pathsep.join([os.environ["PATH"], str(BINARIES)])):
        return Path(found)
    message = f"{name} is not installed: set {variable}, or put it on PATH or into {BINARIES}"
    raise SandboxError(message)
