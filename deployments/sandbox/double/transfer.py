"""Parts on their way to and from the bucket: one archive each, whole or not there at all."""

import asyncio
import shutil
import tarfile
import time
import uuid
from pathlib import Path

from deployments.sandbox.double.errors import CommandFailed
from deployments.sandbox.double.files import files_of


class Throttle:
    """Sleeps whenever more bytes have passed than the rate permits; 0 permits everything."""

    def __init__(self, bytes_per_second: int) -> None:
        self._rate = bytes_per_second
        self._passed = 0
        self._started = time.monotonic()

    async def passed(self, size: int) -> None:
        self._passed += size
        due = self._passed / self._rate if self._rate > 0 else 0.0
        await asyncio.sleep(max(0.0, self._started + due - time.monotonic()))


async def send_part(source: Path, archive: Path, drafts: Path, throttle: Throttle) -> int:
    """Archive the folder of a part; the archive appears when the last byte has passed."""
    draft = drafts / uuid.uuid4().hex
    try:
        size = await asyncio.to_thread(_pack, source, draft)
        await throttle.passed(size)
        _move(draft, archive)
    finally:
        draft.unlink(missing_ok=True)
    return size


async def receive_part(archive: Path, target: Path, throttle: Throttle) -> int:
    """Unpack an archive to the folder of a part; an archive that was cut off is an error."""
    try:
        size = _size_of(archive)
        await throttle.passed(size)
        await asyncio.to_thread(_unpack, archive, target.parent)
    except FileNotFoundError as error:
        raise CommandFailed(f"key not found: {archive.name}") from error
    except tarfile.TarError as error:
        raise CommandFailed(f"can't unpack {archive.name}: {error}") from error
    return size


def copy_archive(source: Path, target: Path, drafts: Path) -> None:
    drafts.mkdir(parents=True, exist_ok=True)
    draft = drafts / uuid.uuid4().hex
    shutil.copyfile(source, draft)
    _move(draft, target)


def _size_of(archive: Path) -> int:
    return archive.stat().st_size


def _pack(source: Path, draft: Path) -> int:
    if not source.is_dir():
        raise CommandFailed(f"lstat {source}: no such file or directory")
    draft.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(draft, "w") as archive:
        for name in files_of(source):
            archive.add(source / name, arcname=f"{source.name}/{name}")
    return draft.stat().st_size


def _unpack(path: Path, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path) as archive:
        archive.extractall(folder, filter="data")


def _move(draft: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    draft.replace(target)
