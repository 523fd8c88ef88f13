"""The environment of the process as typed settings, and overrides of it for one command."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from deployments.sandbox.double.errors import InvalidSettings

SKIPPED_TABLES = (
    "system.*,INFORMATION_SCHEMA.*,information_schema.*,_temporary_and_external_tables.*"
)

_TRUE = frozenset({"1", "t", "T", "TRUE", "true", "True"})
_FALSE = frozenset({"0", "f", "F", "FALSE", "false", "False"})
_STORAGES = frozenset({"none", "s3", "gcs", "azblob", "cos", "ftp", "sftp"})
_COMPRESSIONS = frozenset({"none", "tar", "bzip2", "bz2", "gzip", "gz", "sz", "xz", "br", "zstd"})
_DURATION = re.compile(r"(\d+(?:\.\d+)?(?:ns|us|ms|s|m|h))+")
_UNIT_SECONDS = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Names follow the real server's variables; `DOUBLE_*` ones exist only here."""

    clickhouse_host: str
    clickhouse_http_port: int
    clickhouse_username: str
    clickhouse_password: str
    listen_host: str
    listen_port: int
    api_username: str
    api_password: str
    integration_tables_host: str
    create_integration_tables: bool
    allow_parallel: bool
    skip_commands: frozenset[str]
    resume_after_restart: bool
    cancel_timeout_seconds: float
    status_history_size: int
    remote_storage: str
    keep_local: int
    keep_remote: int
    allow_empty_backups: bool
    upload_bytes_per_second: int
    download_bytes_per_second: int
    restore_schema_on_cluster: str
    skip_tables: tuple[str, ...]
    data_dir: Path | None
    remote_dir: Path
    remote_path: str
    knobs: Path | None
    ignore_overrides: bool

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Self:
        given = _Variables(environment)
        host, _, port = given.text("API_LISTEN", "localhost:7171").rpartition(":")
        given.check_what_is_not_used()
        return cls(
            clickhouse_host=given.text("CLICKHOUSE_HOST", "localhost"),
            clickhouse_http_port=given.integer("CLICKHOUSE_HTTP_PORT", 8123),
            clickhouse_username=given.text("CLICKHOUSE_USERNAME", "default"),
            clickhouse_password=given.text("CLICKHOUSE_PASSWORD", ""),
            listen_host=host,
            listen_port=int(port),
            api_username=given.text("API_USERNAME", ""),
            api_password=given.text("API_PASSWORD", ""),
            integration_tables_host=given.text("API_INTEGRATION_TABLES_HOST", "") or "127.0.0.1",
            create_integration_tables=given.boolean("API_CREATE_INTEGRATION_TABLES", default=False),
            allow_parallel=given.boolean("API_ALLOW_PARALLEL", default=False),
            skip_commands=frozenset(given.words("API_BACKUP_ACTIONS_SKIP_COMMANDS", "")),
            resume_after_restart=given.boolean(
                "API_COMPLETE_RESUMABLE_AFTER_RESTART", default=True
            ),
            cancel_timeout_seconds=given.seconds("API_CANCEL_OPERATION_TIMEOUT", "1800s"),
            status_history_size=given.integer("STATUS_HISTORY_SIZE", 1000),
            remote_storage=given.choice("REMOTE_STORAGE", _STORAGES, given.default_storage),
            keep_local=given.integer("BACKUPS_TO_KEEP_LOCAL", 0),
            keep_remote=given.integer("BACKUPS_TO_KEEP_REMOTE", 0),
            allow_empty_backups=given.boolean("ALLOW_EMPTY_BACKUPS", default=False),
            upload_bytes_per_second=given.integer("UPLOAD_MAX_BYTES_PER_SECOND", 0),
            download_bytes_per_second=given.integer("DOWNLOAD_MAX_BYTES_PER_SECOND", 0),
            restore_schema_on_cluster=given.text("RESTORE_SCHEMA_ON_CLUSTER", ""),
            skip_tables=given.words("CLICKHOUSE_SKIP_TABLES", SKIPPED_TABLES),
            data_dir=given.path("DOUBLE_DATA_DIR"),
            remote_dir=given.path("DOUBLE_REMOTE_DIR") or Path("/nowhere"),
            remote_path=given.text("DOUBLE_PATH", "backup/shard-{shard}"),
            knobs=given.path("DOUBLE_KNOBS"),
            ignore_overrides=given.boolean("DOUBLE_IGNORE_OVERRIDES", default=False),
        )


class _Variables:
    """Reads one variable at a time, as strictly as the real server's configuration does."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment

    @property
    def default_storage(self) -> str:
        return "s3" if self.text("DOUBLE_REMOTE_DIR", "") else "none"

    def check_what_is_not_used(self) -> None:
        """Refuse bad values of variables that have no use here: they end the real process, too."""
        self.choice("S3_COMPRESSION_FORMAT", _COMPRESSIONS, "tar")
        self.seconds("CLICKHOUSE_TIMEOUT", "30m")
        self.integer("UPLOAD_CONCURRENCY", 1)
        self.integer("DOWNLOAD_CONCURRENCY", 1)

    def text(self, name: str, default: str) -> str:
        return self._environment.get(name, default)

    def path(self, name: str) -> Path | None:
        found = self.text(name, "")
        return Path(found) if found else None

    def words(self, name: str, default: str) -> tuple[str, ...]:
        return tuple(word.strip() for word in self.text(name, default).split(",") if word.strip())

    def choice(self, name: str, allowed: frozenset[str], default: str) -> str:
        found = self.text(name, default)
        if found not in allowed:
            raise InvalidSettings(f"{name}: '{found}' is none of {sorted(allowed)}")
        return found

    def boolean(self, name: str, *, default: bool) -> bool:
        found = self._environment.get(name)
        if found is None:
            return default
        if found not in _TRUE | _FALSE:
            raise InvalidSettings(f"{name}: '{found}' is not a boolean")
        return found in _TRUE

    def integer(self, name: str, default: int) -> int:
        found = self._environment.get(name)
        if found is None:
            return default
        if not re.fullmatch(r"[+-]?\d+", found):
            raise InvalidSettings(f"{name}: '{found}' is not an integer")
        return int(found)

    def seconds(self, name: str, default: str) -> float:
        return seconds_of(name, self.text(name, default))


def seconds_of(name: str, duration: str) -> float:
    """Read a duration such as 1h30m."""
    if not _DURATION.fullmatch(duration):
        raise InvalidSettings(f"{name}: '{duration}' is not a duration")
    pieces = re.findall(r"(\d+(?:\.\d+)?)(ns|us|ms|s|m|h)", duration)
    return sum(float(number) * _UNIT_SECONDS[unit] for number, unit in pieces)
