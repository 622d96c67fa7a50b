"""Measures our server beside others: the same rows, the same operations, one core each, in rounds."""

import argparse
import asyncio
import os
import sys
from collections.abc import Sequence
from contextlib import AsyncExitStack

import asyncpg

from bench.load import BenchError, require_wrk
from bench.rows import load_rows
from bench.runs import Runs
from bench.servers import KINDS, require_packages, running
from tests.databases import PostgresDatabases, make_settings, postgres_server

_MINUTES: int = 24 * 60


async def _main(options: argparse.Namespace) -> None:
    require_wrk()
    require_packages(options.servers)
    server_core, *others = sorted(os.sched_getaffinity(0))
    if not others:
        raise BenchError("At least two cores are needed: one for the server, the rest for PostgreSQL and the load.")
    os.sched_setaffinity(0, others)
    with postgres_server() as postgres:
        databases = await PostgresDatabases.migrated(postgres)
        url = await databases.create()
        settings = make_settings(url, environment="production", access_token_expire_minutes=_MINUTES)
        rows = await load_rows(settings)
        await _settle(url)
        async with AsyncExitStack() as stack:
            servers = [
                await stack.enter_async_context(running(key, url, settings.secret_key, [server_core]))
                for key in options.servers
            ]
            runs = await Runs.prepared(servers, rows, url, options.only)
            await runs.check()
            for number in range(options.rounds):
                await runs.run_round(number, options.connections, options.seconds, options.warm_up)
            print(runs.table())


async def _settle(url: str) -> None:
    connection = await asyncpg.connect(url)
    await connection.execute("VACUUM ANALYZE")
    await connection.close()


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument(
        "--servers", nargs="+", choices=KINDS, default=list(KINDS), help="which servers; all by default"
    )
    parser.add_argument("--only", nargs="+", metavar="WORD", help="only operations whose names have one of the words")
    parser.add_argument("--rounds", type=int, default=5, help="how often everything is repeated (5)")
    parser.add_argument("--seconds", type=float, default=3, help="how long each load takes (3)")
    parser.add_argument("--warm-up", type=float, default=1, help="how long each server is loaded before (1)")
    parser.add_argument("--connections", type=int, default=32, help="how many are kept busy (32)")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    try:
        asyncio.run(_main(_parse(sys.argv[1:])))
    except BenchError as error:
        sys.exit(str(error))
