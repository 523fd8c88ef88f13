"""The lock's door of an installation in Kubernetes: one Lease, changed by whoever read it last.

The generation is its number of transitions; the resource version lets exactly one of two writers
succeed. What a Lease has no field for stands in annotations: who holds it in our words, and up to
which generation everything has stopped.
"""

import json
from collections.abc import Awaitable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, TypeVar

from kubernetes.aio.client import ApiClient, CoordinationV1Api, V1Lease, V1LeaseSpec, V1ObjectMeta
from kubernetes.aio.client.exceptions import ConflictException, NotFoundException

from tasks.domain.errors import ClusterUnavailable
from tasks.domain.lock import Holder, Superseded
from tasks.kubernetes.client import translating

T = TypeVar("T")
_HOLDER = "clickhouse.altinity.com/lock-holder"
_RELEASED = "clickhouse.altinity.com/lock-released"
_REQUEST_SECONDS = 5
_TRIES = 5
_STRANGERS_SECONDS = 60


class LeaseDoor:
    """The lock of one installation."""

    def __init__(self, api: ApiClient, *, namespace: str, name: str) -> None:
        self._leases = CoordinationV1Api(api)
        self._namespace = namespace
        self._name = name

    def __repr__(self) -> str:
        return f"LeaseDoor({self.identity})"

    @property
    def identity(self) -> str:
        return f"lease:{self._namespace}/{self._name}"

    async def newest(self) -> Holder | None:
        found = await self._read()
        return None if found is None else found.holder

    async def take(self, ours: Holder, *, over: Holder | None) -> bool:
        record = _Record(V1ObjectMeta(name=self._name, namespace=self._namespace), V1LeaseSpec())
        if over is not None:
            found = await self._read()
            if found is None or found.holder.sign != over.sign:
                return False
            record = found
        record.become(ours)
        try:
            await (self._replace(record) if over else self._create(record))
        except (ConflictException, NotFoundException):
            return False
        return True

    async def look_back(self, before: Holder) -> Holder:
        found = await self._read()
        if found is not None and found.released_up_to >= before.generation:
            return replace(before, released=True)
        return before  # it cannot renew any more: what it read is not the newest version

    async def renew(self, ours: Holder) -> None:
        found = await self._read()
        if found is None or not found.is_of(ours):
            raise Superseded(None if found is None else found.holder)
        found.spec.renew_time = _now()
        try:
            await self._replace(found)
        except (ConflictException, NotFoundException) as error:
            message = f"{self.identity} was changed by somebody else at the same time"
            raise ClusterUnavailable(message) from error

    async def release(self, ours: Holder) -> None:
        for _ in range(_TRIES):
            found = await self._read()
            if found is None:
                return
            found.note_release(ours)
            try:
                await self._replace(found)
            except ConflictException:
                continue
            return

    async def _read(self) -> "_Record | None":
        reading = self._leases.read_namespaced_lease(
            self._name, self._namespace, _request_timeout=_REQUEST_SECONDS
        )
        try:
            lease = await self._told("reading", reading)
        except NotFoundException:
            return None
        return _Record(lease.metadata or V1ObjectMeta(), lease.spec or V1LeaseSpec())

    async def _create(self, record: "_Record") -> None:
        creating = self._leases.create_namespaced_lease(
            self._namespace, record.lease, _request_timeout=_REQUEST_SECONDS
        )
        await self._told("creating", creating)

    async def _replace(self, record: "_Record") -> None:
        """Write what was read and changed; a conflict where somebody wrote in between."""
        replacing = self._leases.replace_namespaced_lease(
            self._name, self._namespace, record.lease, _request_timeout=_REQUEST_SECONDS
        )
        await self._told("writing", replacing)

    async def _told(self, verb: str, request: Awaitable[T]) -> T:
        with translating(f"{verb} {self.identity}"):
            return await request


@dataclass(frozen=True, slots=True)
class _Record:
    """A Lease as it was read, to be changed and written back."""

    meta: V1ObjectMeta
    spec: V1LeaseSpec

    @property
    def lease(self) -> V1Lease:
        return V1Lease(metadata=self.meta, spec=self.spec)

    @property
    def released_up_to(self) -> int:
        return int((self.meta.annotations or {}).get(_RELEASED, 0))

    @property
    def holder(self) -> Holder:
        generation = self.spec.lease_transitions or 0
        since = self.spec.acquire_time or datetime.fromtimestamp(0, UTC)
        silent = _now() - (self.spec.renew_time or since)
        return Holder(
            generation=generation,
            **self._told(),
            since=since,
            released=self.spec.holder_identity is None or 0 < generation <= self.released_up_to,
            sign=str(self.meta.resource_version),
            silent_seconds=max(0, int(silent.total_seconds())),
        )

    def is_of(self, ours: Holder) -> bool:
        found = (self.spec.lease_transitions, self.spec.holder_identity)
        return found == (ours.generation, _identity(ours))

    def become(self, ours: Holder) -> None:
        told = {
            "operation_id": ours.operation_id,
            "operation": ours.operation,
            "instance": ours.instance,
            "lease_seconds": ours.lease_seconds,
        }
        self._annotate(_HOLDER, json.dumps(told))
        self.spec.holder_identity = _identity(ours)
        self.spec.lease_transitions = ours.generation
        self.spec.lease_duration_seconds = ours.lease_seconds
        self.spec.acquire_time = self.spec.renew_time = _now()

    def note_release(self, ours: Holder) -> None:
        if self.is_of(ours):
            self.spec.holder_identity = None
        self._annotate(_RELEASED, str(max(self.released_up_to, ours.generation)))

    def _annotate(self, name: str, text: str) -> None:
        self.meta.annotations = {**(self.meta.annotations or {}), name: text}

    def _told(self) -> dict[str, Any]:
        """Tell the holder in our words; a Lease that somebody else made names its holder only."""
        text = (self.meta.annotations or {}).get(_HOLDER)
        if text:
            return dict(json.loads(text))
        stranger = self.spec.holder_identity or "nobody"
        return {
            "operation_id": stranger,
            "operation": "unknown",
            "instance": stranger,
            "lease_seconds": self.spec.lease_duration_seconds or _STRANGERS_SECONDS,
        }


def _identity(ours: Holder) -> str:
    return f"{ours.operation_id}/{ours.instance}"


def _now() -> datetime:
    """Tell the time with microseconds: without any the API refuses it as malformed."""
    now = datetime.now(UTC)
    return now if now.microsecond else now.replace(microsecond=1)
