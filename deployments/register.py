"""`python -m deployments.register`: make work pools and deployments at the Prefect server."""

import argparse
import asyncio
import sys

import httpx
from prefect.client.orchestration import get_client
from prefect.exceptions import PrefectHTTPStatusError
from prefect.settings import PREFECT_API_URL

from deployments.registration import Pools, left_over, register
from deployments.registry import DEPLOYMENTS, DESTRUCTIVE_WORK_POOL, WORK_POOL

FAILED = 1


def main(arguments: list[str] | None = None) -> int:
    options = _parse(arguments)
    address = PREFECT_API_URL.value()
    if not address:
        return _refuse("PREFECT_API_URL is not set: which Prefect server should know the flows?")
    pools = Pools(
        ordinary=options.work_pool,
        destructive=options.destructive_work_pool,
        type=options.work_pool_type,
    )
    try:
        asyncio.run(_register(pools, without_destructive=options.without_destructive))
    except (httpx.HTTPError, PrefectHTTPStatusError) as error:
        return _refuse(f"the Prefect server at {address} did not do it: {error}")
    return 0


async def _register(pools: Pools, *, without_destructive: bool) -> None:
    wanted = [each for each in DEPLOYMENTS if not (each.destructive and without_destructive)]
    unwanted = [each for each in DEPLOYMENTS if each not in wanted]
    async with get_client() as client:
        async for sentence in register(client, wanted, pools):
            _say(sentence)
        async for sentence in left_over(client, unwanted):
            _say(sentence)


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m deployments.register", description=__doc__, allow_abbrev=False
    )
    parser.add_argument(
        "--without-destructive",
        action="store_true",
        help="leave out the deployments whose flows can destroy tables",
    )
    parser.add_argument("--work-pool", default=WORK_POOL, metavar="NAME")
    parser.add_argument("--destructive-work-pool", default=DESTRUCTIVE_WORK_POOL, metavar="NAME")
    parser.add_argument(
        "--work-pool-type",
        default="process",
        metavar="TYPE",
        help="type of a work pool that has to be made: process, kubernetes, ...",
    )
    return parser.parse_args(arguments)


def _refuse(sentence: str) -> int:
    sys.stderr.write(f"{sentence}\n")
    return FAILED


def _say(sentence: str) -> None:
    sys.stdout.write(f"{sentence}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
