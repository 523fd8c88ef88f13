"""Run an operation by hand, without a Prefect server: the same flows, the same outcome.

`python -m flows backup --installation demo --inventory inventory.yaml`. Prefect's own temporary
server serves the run and is gone with it, so a Prefect that is down does not matter.
"""

import argparse
import asyncio
import inspect
import json
import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from prefect import Flow

_BROKEN_GLASS = {
    "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE": "true",
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "3600",
    "DO_NOT_TRACK": "1",
}


def main(arguments: Sequence[str]) -> int:
    """Return 0 when the operation is complete, 1 when not, 2 for a malformed command line."""
    with tempfile.TemporaryDirectory(prefix="chops-") as home:
        os.environ.pop("PREFECT_API_URL", None)
        os.environ.update(_BROKEN_GLASS, PREFECT_HOME=home)
        os.environ["PREFECT_LOGGING_LEVEL"] = "INFO" if "--verbose" in arguments else "CRITICAL"
        return _run(arguments)


def _run(arguments: Sequence[str]) -> int:
    # Prefect reads its settings when it is imported: hence only now
    from prefect.exceptions import ParameterTypeError  # noqa: PLC0415

    from tasks.domain.errors import BackupError  # noqa: PLC0415

    flows = _flows()
    chosen = vars(command_line().parse_args(arguments))
    operation = chosen.pop("operation")
    chosen.pop("verbose")
    given = {name: value for name, value in chosen.items() if value is not None}
    try:
        print(asyncio.run(_outcome(flows[operation], given)))
    except ParameterTypeError as error:
        print(" ".join(str(error).split()), file=sys.stderr)
        return 2
    except BackupError as error:
        print(_told(error), file=sys.stderr)
        return 1
    return 0


async def _outcome(flow: "Flow[..., Any]", parameters: Mapping[str, Any]) -> str:
    from tasks.reports import page_of  # noqa: PLC0415

    return page_of(await flow(**parameters))


def _told(error: Exception) -> str:
    from tasks.domain.errors import OperationIncomplete  # noqa: PLC0415
    from tasks.reports import page_of  # noqa: PLC0415

    if isinstance(error, OperationIncomplete):
        return page_of(error.outcome)
    notes = getattr(error, "__notes__", [])
    return "\n".join([f"{type(error).__name__}: {error}", *notes])


def _flows() -> "dict[str, Flow[..., Any]]":
    from flows.abort import abort_operation  # noqa: PLC0415
    from flows.adopt import adopt_backup  # noqa: PLC0415
    from flows.backup import backup_cluster  # noqa: PLC0415
    from flows.coverage import report_coverage  # noqa: PLC0415
    from flows.hold import hold_installation  # noqa: PLC0415
    from flows.list import list_backups  # noqa: PLC0415
    from flows.prune import prune_backups  # noqa: PLC0415
    from flows.restore import restore_cluster  # noqa: PLC0415
    from flows.verify import verify_backup  # noqa: PLC0415

    return {
        "backup": backup_cluster,
        "list": list_backups,
        "coverage": report_coverage,
        "verify": verify_backup,
        "prune": prune_backups,
        "hold": hold_installation,
        "adopt": adopt_backup,
        "restore": restore_cluster,
        "abort": abort_operation,
    }


def command_line() -> argparse.ArgumentParser:
    """Make the parser: one operation per flow, one option per parameter of the flow."""
    parser = argparse.ArgumentParser(prog="python -m flows", description=__doc__)
    operations = parser.add_subparsers(dest="operation", required=True)
    for name, flow in _flows().items():
        summary, told = _docstring(flow)
        sub = operations.add_parser(name, help=summary, description=summary, allow_abbrev=False)
        for parameter in inspect.signature(flow.fn).parameters.values():
            _add_option(sub, parameter, told.get(parameter.name, ""))
        sub.add_argument("--verbose", action="store_true", help="Show Prefect's own log.")
    return parser


def _add_option(parser: argparse.ArgumentParser, parameter: inspect.Parameter, told: str) -> None:
    flag = f"--{parameter.name.replace('_', '-')}"
    required = parameter.default is inspect.Parameter.empty
    if parameter.annotation is bool:
        parser.add_argument(flag, action="store_true", default=None, help=told)
    elif "list[" in str(parameter.annotation):
        parser.add_argument(flag, action="append", help=f"{told} May be repeated.")
    elif parameter.name == "options":
        parser.add_argument(flag, type=_json_object, help=f"{told} A JSON object.")
    else:
        parser.add_argument(flag, required=required, help=told)


def _json_object(text: str) -> dict[str, Any]:
    try:
        given = json.loads(text)
    except ValueError:
        given = None
    if not isinstance(given, dict):
        message = f"{text!r} is not a JSON object"
        raise argparse.ArgumentTypeError(message)
    return given


def _docstring(flow: "Flow[..., Any]") -> tuple[str, dict[str, str]]:
    """Take the summary and the meaning of each parameter from the flow's docstring."""
    text = inspect.getdoc(flow.fn) or ""
    summary, _, rest = text.partition("\n")
    lines = rest.partition("Args:")[2].partition("Returns:")[0].splitlines()
    pairs = (line.strip().partition(": ") for line in lines if ": " in line)
    return summary, {name: meaning for name, _, meaning in pairs}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
