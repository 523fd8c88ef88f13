"""Who may speak to a node. The embedded engine has no users: the node's interfaces check them."""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

AUTHENTICATION_FAILED = 516


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """A read-only user may read and change settings, as `readonly = 2` of ClickHouse means it."""

    name: str = "default"
    password: str = ""
    readonly: bool = False


class Denied(Exception):
    """Wrong password or unknown user: the server does not say which."""

    code = AUTHENTICATION_FAILED

    def __init__(self, name: str) -> None:
        super().__init__(
            f"Code: {self.code}. DB::Exception: {name}: Authentication failed: password is "
            "incorrect, or there is no user with such name. (AUTHENTICATION_FAILED)"
        )


class Users:
    def __init__(self, users: Iterable[User]) -> None:
        self._by_name = {user.name: user for user in users}

    @classmethod
    def from_file(cls, path: Path) -> "Users":
        return cls(User(**fields) for fields in json.loads(path.read_text()))

    def authenticate(self, name: str, password: str) -> User:
        user = self._by_name.get(name)
        if user is None or user.password != password:
            raise Denied(name)
        return user


def write_users(path: Path, users: Iterable[User]) -> None:
    """Passwords stand in a file that only its owner reads, never in a command line."""
    path.touch(mode=0o600)
    path.write_text(json.dumps([asdict(user) for user in users]))
