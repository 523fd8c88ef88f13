"""What time and accidents do to a backup in the bucket of a stand-in."""

import tarfile
from pathlib import Path

from tests.integration.bench import Bench


def copy_of(bench: Bench, number: int, backup: str) -> Path:
    """Find the folder that holds one shard's copy."""
    (found,) = bench.cluster.remote.glob(f"backup/shard-{bench.members[number].shard}/{backup}")
    return found


def archives(bench: Bench, number: int, backup: str, table: str) -> list[Path]:
    """List the stored parts of a table."""
    folder = copy_of(bench, number, backup) / "shadow" / table.replace(".", "/")
    found = sorted(folder.glob("*.tar"))
    assert found
    return found


def flip_a_byte(archive: Path, file: str) -> None:
    """Change one byte in the middle of a file of a stored part; its size stays."""
    with tarfile.open(archive) as stored:
        (member,) = (m for m in stored.getmembers() if m.name.endswith(f"/{file}"))
        place = member.offset_data + member.size // 2
    spoil(archive, place)


def spoil(path: Path, place: int | None = None) -> None:
    """Change one byte, the one in the middle if nothing is said."""
    where = path.stat().st_size // 2 if place is None else place
    with path.open("r+b") as content:
        content.seek(where)
        (byte,) = content.read(1)
        content.seek(where)
        content.write(bytes([byte ^ 0xFF]))
