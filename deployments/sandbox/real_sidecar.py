"""The real clickhouse-backup as a sidecar: where its binary is, and its configuration."""

from pathlib import Path

from deployments.sandbox.binaries import find_binary
from deployments.sandbox.processes import HOST
from deployments.sandbox.store import ACCESS_KEY, BUCKET, REGION, SECRET_KEY


def sidecar_binary() -> Path:
    return find_binary("clickhouse-backup", variable="CLICKHOUSE_BACKUP_BIN")


def sidecar_environment(remote_path: str, *, home: Path, store_port: int) -> dict[str, str]:
    """Configure it by environment alone, against the S3 server of this sandbox."""
    return {
        "TMPDIR": str(temporary_folder(home)),
        "REMOTE_STORAGE": "s3",
        "S3_BUCKET": BUCKET,
        "S3_ENDPOINT": f"http://{HOST}:{store_port}",
        "S3_ACCESS_KEY": ACCESS_KEY,
        "S3_SECRET_KEY": SECRET_KEY,
        "S3_REGION": REGION,
        "S3_FORCE_PATH_STYLE": "true",
        "S3_DISABLE_SSL": "true",
        "S3_PATH": remote_path,
        "S3_COMPRESSION_FORMAT": "zstd",
    }


def temporary_folder(home: Path) -> Path:
    """Where pid files lie, named after backups: neighbours must not see each other's."""
    folder = home / "tmp"
    folder.mkdir(exist_ok=True)
    return folder
