"""Everything one command works with: its settings, the node, its disks and the bucket."""

from dataclasses import dataclass
from typing import Self

from deployments.sandbox.double.bucket import Bucket
from deployments.sandbox.double.clickhouse import ClickHouse
from deployments.sandbox.double.errors import CommandFailed
from deployments.sandbox.double.knobs import Steps
from deployments.sandbox.double.local import LocalBackups
from deployments.sandbox.double.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    settings: Settings
    clickhouse: ClickHouse
    version: tuple[int, ...]
    local: LocalBackups
    bucket: Bucket
    steps: Steps

    @classmethod
    async def reach(cls, settings: Settings, clickhouse: ClickHouse) -> Self:
        """Wait, like the real server, as long as it takes the node to answer."""
        await clickhouse.connect()
        steps = Steps(settings.knobs)
        return cls(
            settings=settings,
            clickhouse=clickhouse,
            version=await clickhouse.version(),
            local=LocalBackups(await clickhouse.disks()),
            bucket=Bucket.of(settings, await clickhouse.macros(), steps),
            steps=steps,
        )

    @property
    def has_remote(self) -> bool:
        return self.settings.remote_storage != "none"

    def require_remote(self, word: str) -> None:
        if not self.has_remote:
            text = (
                f'general->remote_storage shall not be "none" for {word},'
                " change you config or use REMOTE_STORAGE environment variable"
            )
            raise CommandFailed(text)
