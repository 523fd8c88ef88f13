"""`python -m deployments.sandbox.demo`: the whole product on one machine, in about a minute."""

import argparse
import asyncio
import signal
import sys
import time

import httpx
from prefect.exceptions import PrefectException

from deployments.sandbox.client import QueryFailed
from deployments.sandbox.demo.flow_runs import RunFailed
from deployments.sandbox.demo.screen import Screen
from deployments.sandbox.demo.stage import KEPT_DIRECTORY, SHARDS, Stage, set_up, strike
from deployments.sandbox.demo.story import DemoFailed, Ending, play
from deployments.sandbox.processes import SandboxError

OK, FAILED, INTERRUPTED = 0, 1, 130
EXPECTED = (
    DemoFailed,
    RunFailed,
    SandboxError,
    QueryFailed,
    OSError,
    httpx.HTTPError,
    PrefectException,
)


def main() -> int:
    arguments = _parse()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.default_int_handler)
    screen = Screen()
    if arguments.stop:
        screen.say("The demo is stopped." if strike() else f"No demo in {KEPT_DIRECTORY}.")
        return OK
    try:
        ending = _demonstrate(screen, keep=arguments.keep)
    except EXPECTED as error:
        for note in getattr(error, "__notes__", ()):
            screen.say(note)
        screen.verdict(f"demo: FAILED: {error}")
        return FAILED
    except KeyboardInterrupt:
        screen.verdict("demo: FAILED: interrupted")
        return INTERRUPTED
    screen.verdict(ending.sentence)
    return OK


def _demonstrate(screen: Screen, *, keep: bool) -> Ending:
    began = time.monotonic()
    screen.title(f"A cluster of {SHARDS} shards with sidecars, and a Prefect server, start")
    with set_up(keep=keep) as stage:
        ending = asyncio.run(play(stage, screen))
        screen.say(f"The whole demo took {time.monotonic() - began:.0f} s.")
        if keep:
            _tell_how_to_go_on(stage, screen)
    return ending


def _tell_how_to_go_on(stage: Stage, screen: Screen) -> None:
    screen.title("Everything is left running")
    screen.say(f"Prefect:   {stage.prefect.ui_url}")
    screen.say(f"inventory: {stage.cluster.inventory_path}")
    for member in stage.cluster.members:
        screen.say(f"shard {member.shard}:   http://127.0.0.1:{member.node.http_port}")
    screen.say("stop it:   make demo-stop")


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m deployments.sandbox.demo", description=__doc__, allow_abbrev=False
    )
    action = parser.add_mutually_exclusive_group()
    action.add_argument("--keep", action="store_true", help=f"leave it running in {KEPT_DIRECTORY}")
    action.add_argument("--stop", action="store_true", help="stop a demo that was left running")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
