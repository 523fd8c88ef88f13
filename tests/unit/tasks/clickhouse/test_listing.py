"""What a listing tells of sizes: what was sent, where the sidecar is young enough to say so."""

import pytest

from tasks.clickhouse.errors import UNKNOWN_COLUMN
from tasks.clickhouse.listing import read_sent_bytes
from tasks.domain.errors import ClusterUnavailable, ServerError
from tests.builders import BACKUP
from tests.fakes import ScriptedServer

READ = "compressed_size"


async def test_what_was_sent_is_read_apart_from_the_size() -> None:
    assert await read_sent_bytes(ScriptedServer({READ: [{"sent": 7}]}), BACKUP) == 7


async def test_an_old_sidecar_does_not_tell_what_was_sent() -> None:
    silent = ServerError("missing columns", code=UNKNOWN_COLUMN)
    assert await read_sent_bytes(ScriptedServer({READ: silent}), BACKUP) is None


@pytest.mark.parametrize(
    "error", [ServerError("syntax", code=62), ClusterUnavailable("away")], ids=["other", "away"]
)
async def test_any_other_trouble_is_not_taken_for_an_old_sidecar(
    error: ServerError | ClusterUnavailable,
) -> None:
    with pytest.raises(type(error)):
        await read_sent_bytes(ScriptedServer({READ: error}), BACKUP)
