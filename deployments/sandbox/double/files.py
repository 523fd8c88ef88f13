"""Plain file work of backups: parts are folders of immutable files, so hard links are enough."""

import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from deployments.sandbox.double.errors import CommandFailed


def files_of(folder: Path) -> list[Path]:
    """List every file below the folder, relative to it, in a stable order."""
    return sorted(path.relative_to(folder) for path in folder.rglob("*") if path.is_file())


def size_of(folder: Path) -> int:
    return sum((folder / name).stat().st_size for name in files_of(folder))


def link_tree(source: Path, target: Path) -> None:
    """Link all files; one that is there already from an interrupted run is kept."""
    if not source.is_dir():
        raise CommandFailed(f"lstat {source}: no such file or directory")
    target.mkdir(parents=True, exist_ok=True)
    for name in files_of(source):
        linked = target / name
        linked.parent.mkdir(parents=True, exist_ok=True)
        if not linked.exists():
            os.link(source / name, linked)


def write_file(path: Path, content: bytes) -> int:
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.draft")
    draft.write_bytes(content)
    draft.replace(path)
    return len(content)


def remove_tree(folder: Path) -> None:
    shutil.rmtree(folder)


def fingerprint(part: Path) -> str:
    """Hash the part's own list of checksums, for servers without `hash_of_all_files`."""
    listed = part / "checksums.txt"
    return hashlib.sha256(listed.read_bytes()).hexdigest() if listed.exists() else ""


def pid_path(name: str) -> Path:
    return Path(tempfile.gettempdir()) / f"clickhouse-backup.{name}.pid"


@contextmanager
def pid_file(name: str, word: str) -> Iterator[None]:
    """Refuse a name that a living process works on, and mark it as ours meanwhile."""
    if not name:
        raise CommandFailed("backupName is required")
    path = pid_path(name)
    _refuse_living_owner(path)
    started = datetime.now().astimezone().isoformat(timespec="seconds")
    path.write_text(f"{os.getpid()}|{word}|{started}")
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def _refuse_living_owner(path: Path) -> None:
    if not path.exists():
        return
    pid, word, since = [*path.read_text().strip().split("|", 2), "", ""][:3]
    command_line = Path(f"/proc/{pid}/cmdline")
    if not pid.isdigit() or not command_line.exists():
        return
    arguments = command_line.read_bytes().replace(b"\0", b" ").decode().strip()
    raise CommandFailed(
        f"another clickhouse-backup `{word}` command is already running {since}"
        f" (pid={pid}, pidPath={path}, cmdLine={arguments})"
    )
