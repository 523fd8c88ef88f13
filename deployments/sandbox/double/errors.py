"""What can go wrong inside a command, as the text that ends up in its row.

CommandFailed         the command ends with status `error` and this text
├── BackupExists      a local backup of that name is there: `restore_remote` goes on with it
└── SqlFailed         ClickHouse refused a statement
InvalidSettings       the environment cannot be read: the real server ends its process
ProcessEnds           arguments that the real server answers by ending its process
"""


class CommandFailed(Exception):
    """The command ends with status `error`."""


class BackupExists(CommandFailed):
    """A local backup of that name is there and nothing says how complete it is."""


class SqlFailed(CommandFailed):
    """ClickHouse refused a statement."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(f"code: {code}, message: {text}")
        self.code = code


class InvalidSettings(Exception):
    """A variable of the environment does not have the form that it must have."""


class ProcessEnds(Exception):
    """The real server calls exit() here, in the middle of serving its API."""
