"""Measures our server beside others: the same rows, the same operations, one core each, in rounds."""

import argparse
import asyncio
import signal
import sys
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Final

from bench.asking import BenchError
from bench.findings import Findings, setting
from bench.ground import Ground, prepared_ground
from bench.growth import grow_connections, grow_rows, grow_workers
from bench.load import require_wrk
from bench.operations import OPERATIONS, Operation
from bench.report import tables, write_page
from bench.runs import Pace, Runs
from bench.servers import KINDS, require_packages, running

_GROWTH: Final = "growth"
_CORES_FOR_WORKERS: Final = 4


async def _main(options: argparse.Namespace) -> None:
    require_wrk()
    require_packages(options.servers)
    operations = [each for each in OPERATIONS if _is_chosen(each.name, options)]
    if not operations and not _is_chosen(_GROWTH, options):
        raise BenchError(f"No operation has one of the words; there are {', '.join(each.name for each in OPERATIONS)}.")
    pace = Pace(options.rounds, options.seconds, options.warm_up, options.connections)
    async with prepared_ground() as ground:
        findings = await _measure(ground, operations, options, pace)
        said = setting(options.servers, pace, len(ground.cores), ground.postgres_version)
    print("\n\n".join(["", *tables(findings).values(), said]))
    if len(operations) == len(OPERATIONS) and set(options.servers) == KINDS.keys() and findings.connections:
        write_page(findings, said)


def _is_chosen(name: str, options: argparse.Namespace) -> bool:
    return any(word.lower() in name.lower() for word in options.only)


async def _measure(
    ground: Ground, operations: Sequence[Operation], options: argparse.Namespace, pace: Pace
) -> Findings:
    async with AsyncExitStack() as stack:
        servers = [await stack.enter_async_context(running(key, ground, ground.cores[:1])) for key in options.servers]
        fresh = {server.key: server.memory_mib() for server in servers}
        runs = Runs(servers, ground.rows, ground.database_url, operations)
        await runs.prepare()
        await runs.run(pace)
        findings = Findings(
            operations=[each.name for each in operations],
            keys=options.servers,
            medians=runs.medians(),
            ratios=runs.ratios(),
            memory={server.key: (fresh[server.key], server.memory_mib()) for server in servers},
        )
        if _is_chosen(_GROWTH, options):
            findings.rows = await grow_rows(servers, ground.rows, pace)
            findings.connections = await grow_connections(servers, ground.rows, pace)
    if _is_chosen(_GROWTH, options):
        await _add_workers(findings, ground, pace)
    return findings


async def _add_workers(findings: Findings, ground: Ground, pace: Pace) -> None:
    if len(ground.cores) < _CORES_FOR_WORKERS:
        print(f"Two workers beside PostgreSQL and the load would take {_CORES_FOR_WORKERS} cores: left out.")
        return
    findings.workers = await grow_workers(ground, pace)


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="make bench",
        description=__doc__,
        epilog="What is measured in full is written to docs/benchmarks.md.",
    )
    parser.add_argument(
        "--servers", nargs="+", choices=KINDS, metavar="NAME", default=list(KINDS), help=f"some of {', '.join(KINDS)}"
    )
    parser.add_argument(
        "--only", nargs="+", metavar="WORD", default=[""], help=f"operations with one of the words, or {_GROWTH}"
    )
    parser.add_argument("--rounds", type=int, default=5, help="how often everything is repeated (5)")
    parser.add_argument("--seconds", type=int, default=3, help="how long each load takes at least (3)")
    parser.add_argument("--warm-up", type=int, default=1, help="how long each server is loaded before (1)")
    parser.add_argument("--connections", type=int, default=32, help="how many are kept busy (32)")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    # Who ends it by a signal ends the servers with it.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        asyncio.run(_main(_parse(sys.argv[1:])))
    except BenchError as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        sys.exit("Stopped.")
