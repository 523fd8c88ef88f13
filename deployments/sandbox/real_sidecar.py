"""The configuration of the real clickhouse-backup, against the S3 server of this sandbox."""

from deployments.sandbox.processes import HOST
from deployments.sandbox.store import ACCESS_KEY, BUCKET, REGION, SECRET_KEY


def sidecar_environment(remote_path: str, *, store_port: int) -> dict[str, str]:
    return {
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
