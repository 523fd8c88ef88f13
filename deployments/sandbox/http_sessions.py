"""Named sessions of the HTTP interface: kept between requests, one request at a time, expiring."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from deployments.sandbox.engine import Session
from deployments.sandbox.http_request import BadRequest, SessionName

SESSION_NOT_FOUND = 372
SESSION_IS_LOCKED = 373


@dataclass(slots=True)
class _Kept:
    session: Session
    in_use: bool
    expires: float


class Sessions:
    def __init__(self) -> None:
        self._kept: dict[tuple[str, str], _Kept] = {}
        self._lock = threading.Lock()

    @contextmanager
    def borrow(
        self, user: str, wanted: SessionName, open_new: Callable[[], Session]
    ) -> Iterator[Session]:
        with self._lock:
            self._expire()
            kept = self._take((user, wanted.name), wanted, open_new)
        try:
            yield kept.session
        finally:
            with self._lock:
                kept.expires = time.monotonic() + wanted.timeout_seconds
                kept.in_use = False

    def _take(
        self, key: tuple[str, str], wanted: SessionName, open_new: Callable[[], Session]
    ) -> _Kept:
        kept = self._kept.get(key)
        if kept is None and wanted.must_exist:
            raise BadRequest(
                f"Session {wanted.name} not found. (SESSION_NOT_FOUND)", code=SESSION_NOT_FOUND
            )
        if kept is None:
            kept = self._kept[key] = _Kept(open_new(), in_use=False, expires=0)
        if kept.in_use:
            raise BadRequest(
                f"Session {wanted.name} is locked by a concurrent client. (SESSION_IS_LOCKED)",
                code=SESSION_IS_LOCKED,
            )
        kept.in_use = True
        return kept

    def _expire(self) -> None:
        now = time.monotonic()
        for key, kept in list(self._kept.items()):
            if not kept.in_use and kept.expires < now:
                kept.session.close()
                del self._kept[key]
