"""The three URL tables in the node's database `system` that make SQL the way to this program."""

from urllib.parse import urlencode

from deployments.sandbox.double.clickhouse import literal
from deployments.sandbox.double.settings import Settings
from deployments.sandbox.double.site import Site

_KNOWS_UNKNOWN_FIELDS = (21, 1)
_COLUMNS = {
    "actions": "command String, start DateTime, finish DateTime, status String, error String,"
    " operation_id String",
    "list": "name String, created DateTime, size UInt64, data_size UInt64,"
    " object_disk_size UInt64, metadata_size UInt64, rbac_size UInt64, config_size UInt64,"
    " named_collection_size UInt64, compressed_size UInt64, location String, required String,"
    " desc String",
    "version": "version String",
}


async def create_integration_tables(site: Site) -> None:
    """Drop and create each: it is missing for a moment."""
    skip = " SETTINGS input_format_skip_unknown_fields=1"
    settings = skip if site.version >= _KNOWS_UNKNOWN_FIELDS else ""
    for what, columns in _COLUMNS.items():
        table = f"system.backup_{what}"
        await site.clickhouse.run(f"DROP TABLE IF EXISTS {table}")
        address = literal(_address(site.settings, what))
        await site.clickhouse.run(
            f"CREATE TABLE {table} ({columns}) ENGINE=URL({address}, JSONEachRow){settings}"
        )


def _address(settings: Settings, what: str) -> str:
    host, port = settings.integration_tables_host, settings.listen_port
    user, password = settings.api_username, settings.api_password
    login = "?" + urlencode({"pass": password, "user": user}) if user or password else ""
    return f"http://{host}:{port}/backup/{what}{login}"
