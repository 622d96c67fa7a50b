"""Measures the server beside others: the same rows, the same operations, in interleaved rounds."""

import argparse
import asyncio
import hashlib
import itertools
import os
import platform
import random
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import asyncpg
import uvloop

from bench.agreement import require_agreement
from bench.load import BenchError, Template, closed_loop, open_loop
from bench.processes import cpu_s, memory_mib
from bench.report import Measurement, Results, markdown, write_json, write_page
from bench.seed import Population, Tokens, delete_new_tasks, load_rows
from bench.servers import NODE, PEERS, ROOT, SECRET_KEY, Kind, Server, migrate, running, tasktalk
from bench.workload import (
    MESSAGES_20,
    MESSAGES_40,
    MIXED,
    NEW_ALIAS,
    NEW_LITERAL,
    OPERATIONS,
    VIEWER,
    Operation,
    Request,
    body_of,
    draw_requests,
    repeated_requests,
    template_of,
)
from tests.databases import postgres_server

_POPULATION: Final = Population()
_PREPARED_REQUESTS: Final = 10_000
_COMPARED_ANSWERS: Final = 3
# However slow a server is: few requests tell little of the processor time of one.
_MIN_WARM_UP_REQUESTS: Final = 128
_MIN_REQUESTS: Final = 256
_TOKENS_WARM_UP_S: Final = 3
_MAKE_TASK: Final = Path(__file__).parent / "peers" / "postgraphile" / "make_task.sql"
_CORES_FOR_WORKERS: Final = 4


class Databases:
    """The databases of one PostgreSQL: one for all checkouts with the same migrations."""

    def __init__(self, postgres: Any, *, with_messages: bool) -> None:
        self._postgres = postgres
        self._with_messages = with_messages
        self._urls: dict[str, str] = {}

    async def prepare(self, root: Path) -> str:
        """Return the URL of the database for a checkout, with rows."""
        files = sorted((root / "migrations" / "versions").glob("*.py"))
        digest = hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:12]
        if digest not in self._urls:
            url = self._postgres.get_uri(database=f"bench_{digest}")
            await self._run("postgres", "ALTER SYSTEM SET autovacuum = off", "SELECT pg_reload_conf()")
            await self._run("postgres", f"CREATE DATABASE bench_{digest}")
            await asyncio.to_thread(migrate, root, url)
            await load_rows(url, _POPULATION, with_messages=self._with_messages)
            if root == ROOT:
                # What PostGraphile calls; the peers use the tables of this checkout.
                await self._run(f"bench_{digest}", _MAKE_TASK.read_text(encoding="utf-8"))
            self._urls[digest] = url
        return self._urls[digest]

    async def _run(self, database: str, *statements: str) -> None:
        connection = await asyncpg.connect(self._postgres.get_uri(database=database))
        for statement in statements:
            await connection.execute(statement)
        await connection.close()


@dataclass(slots=True)
class Bench:
    """The servers under measurement and what was found of them."""

    servers: Sequence[Server]
    operations: Sequence[Operation]
    tokens: Tokens
    postgres_pid: int
    options: argparse.Namespace
    measurements: list[Measurement] = field(default_factory=list)

    async def run(self) -> None:
        """Compare the answers, then measure every operation on every server, round by round."""
        for operation in self.operations:
            servers = [server for server in self.servers if _takes(server.kind, operation)]
            requests = draw_requests(operation, _POPULATION, random.Random(operation.name), _COMPARED_ANSWERS)
            await require_agreement(servers, requests, self.tokens)
        await self._delete_new_tasks()
        for server in self.servers:
            await self._warm_up_tokens(server)
        for number, operation in itertools.product(range(1, self.options.rounds + 1), self.operations):
            for server in self.servers:
                if _takes(server.kind, operation):
                    measurement = await self._measure(number, operation, server)
                    self.measurements.append(measurement)
                    print(f"round {number}, {operation.title}, {server.kind.title}: {measurement}", flush=True)
                    if self.options.json:
                        write_json(self.results(), self.options.json)

    def results(self) -> Results:
        """Return what was measured so far."""
        memory = {each.kind.key: (each.fresh_memory_mib, memory_mib(each.process.pid)) for each in self.servers}
        titles = {each.kind.key: each.kind.title for each in self.servers}
        return Results(self.measurements, memory, titles, _setting(self.options))

    async def _warm_up_tokens(self, server: Server) -> None:
        """Let a server see all tokens, as far as it comes in a while."""
        chance = random.Random(1)  # the same for all servers
        requests = [Request(VIEWER, user, session, {}) for user, session in self.tokens.sessions()]
        templates = self._templates(server, requests, chance, varied=True)
        await closed_loop(server.port, templates, self.options.connections, _TOKENS_WARM_UP_S)

    async def _measure(self, number: int, operation: Operation, server: Server) -> Measurement:
        options = self.options
        chance = random.Random(f"{operation.name} {number}")  # the same for all servers
        varied = self._templates(
            server, draw_requests(operation, _POPULATION, chance, _PREPARED_REQUESTS), chance, varied=True
        )
        await closed_loop(server.port, varied, options.connections, options.warm_up, _MIN_WARM_UP_REQUESTS)
        measurement = Measurement(number, operation.name, server.kind.key)
        measurement.varied = await self._closed_loop(server, varied)
        if options.open_loop:
            rate = measurement.varied["rate"] / 2
            load = await open_loop(server.port, varied, options.connections, options.seconds, rate)
            measurement.open_loop = {"rate": rate, "p50_ms": load.percentile_ms(50), "p99_ms": load.percentile_ms(99)}
        if options.identical and operation is not MIXED:
            identical = self._templates(server, repeated_requests(operation, chance), chance, varied=False)
            await closed_loop(server.port, identical, options.connections, options.warm_up, _MIN_WARM_UP_REQUESTS)
            measurement.identical = await self._closed_loop(server, identical)
        if operation.writes:
            await self._delete_new_tasks()
        return measurement

    def _templates(
        self, server: Server, requests: Sequence[Request], chance: random.Random, *, varied: bool
    ) -> Iterator[Template]:
        for_postgraphile = server.kind.key == "postgraphile"
        return itertools.cycle(
            [
                template_of(
                    body_of(request, for_postgraphile=for_postgraphile),
                    self.tokens.of(request.user, request.session),
                    chance,
                    varied=varied,
                )
                for request in requests
            ]
        )

    async def _closed_loop(self, server: Server, templates: Iterator[Template]) -> dict[str, float]:
        pids = server.process.pid, self.postgres_pid
        before = [cpu_s(pid) for pid in pids]
        options = self.options
        load = await closed_loop(server.port, templates, options.connections, options.seconds, _MIN_REQUESTS)
        server_us, database_us = (
            (cpu_s(pid) - used_s) / load.requests * 1e6 for pid, used_s in zip(pids, before, strict=True)
        )
        return {
            "requests": load.requests,
            "rate": load.rate,
            "p50_ms": load.percentile_ms(50),
            "p99_ms": load.percentile_ms(99),
            "server_us": server_us,
            "database_us": database_us,
            "total_us": server_us + 2 * database_us,
        }

    async def _delete_new_tasks(self) -> None:
        for url in {server.database_url for server in self.servers}:
            await delete_new_tasks(url)


def _takes(kind: Kind, operation: Operation) -> bool:
    return kind.takes_new_documents or operation not in {NEW_ALIAS, NEW_LITERAL}


def _kinds(options: argparse.Namespace) -> list[Kind]:
    """Return the servers that are asked for; our own with each number of workers and from each checkout."""
    kinds = []
    for name in options.servers:
        if name != "tasktalk":
            kinds.append(PEERS[name])
            continue
        roots = {"tasktalk": ROOT} | {
            f"tasktalk:{root.resolve().name}": root.resolve() for root in options.tasktalk_root
        }
        for (key, root), workers in itertools.product(roots.items(), options.workers):
            kinds.append(tasktalk(f"{key} x{workers}" if len(options.workers) > 1 else key, root, workers))
    if any(kind.command[0] == str(NODE) for kind in kinds) and not NODE.exists():
        raise BenchError("The packages of Node are missing: `make bench` installs them, by npm.")
    return kinds


async def _main(options: argparse.Namespace) -> None:
    kinds = _kinds(options)
    operations = [each for each in OPERATIONS if each.name in options.operations]
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) == 1:
        raise BenchError("It takes two cores: one for the server, the others for PostgreSQL and the load.")
    # PostgreSQL and the load keep off the servers' core; several workers share all cores where there are only two.
    server_cores = cores[:1]
    if max(options.workers) > 1:
        server_cores = cores[: max(options.workers)] if len(cores) >= _CORES_FOR_WORKERS else cores
    others = sorted({*cores} - {*server_cores}) or cores
    os.sched_setaffinity(0, others)
    with postgres_server() as postgres:
        async with AsyncExitStack() as stack:
            with_messages = not {MESSAGES_20, MESSAGES_40, MIXED}.isdisjoint(operations)
            databases, tokens = Databases(postgres, with_messages=with_messages), Tokens.signed(SECRET_KEY, _POPULATION)
            servers = [
                await stack.enter_async_context(running(kind, await databases.prepare(kind.root), server_cores))
                for kind in kinds
            ]
            bench = Bench(servers, operations, tokens, postgres.get_pid() or 0, options)
            await bench.run()
            tables = markdown(bench.results())
            print("", tables, sep="\n")
            if options.write_docs:
                write_page(tables)


def _setting(options: argparse.Namespace) -> str:
    """Return in what setting the measurement was made."""
    rounds = "round" if options.rounds == 1 else "rounds"
    return (
        f"{os.cpu_count()} cores; {options.connections} connections; {options.rounds} {rounds} of "
        f"{options.seconds:g} s for each load, after {options.warm_up:g} s of warm-up; "
        f"Python {platform.python_version()}; load average {os.getloadavg()[1]:.1f}."
    )


def _names(known: Sequence[str]) -> Callable[[str], list[str]]:
    def parse(text: str) -> list[str]:
        names = text.split(",")
        if unknown := set(names) - set(known):
            raise argparse.ArgumentTypeError(f"{', '.join(sorted(unknown))}: choose from {', '.join(known)}")
        return names

    return parse


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    operations, servers = [each.name for each in OPERATIONS], ["tasktalk", *PEERS]
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument(
        "--operations", type=_names(operations), default=operations, metavar="A,B", help=", ".join(operations)
    )
    parser.add_argument("--servers", type=_names(servers), default=servers, metavar="A,B", help=", ".join(servers))
    parser.add_argument(
        "--tasktalk-root", type=Path, nargs="+", default=[], metavar="DIR", help="measure these checkouts too"
    )
    parser.add_argument(
        "--workers",
        type=lambda text: [int(each) for each in text.split(",")],
        default=[1],
        metavar="1,2",
        help="numbers of workers of our server (1)",
    )
    parser.add_argument("--rounds", type=int, default=3, help="how often everything is repeated (3)")
    parser.add_argument("--seconds", type=float, default=3, help="how long each load takes (3)")
    parser.add_argument("--warm-up", type=float, default=1, help="how long each server is loaded before (1)")
    parser.add_argument("--connections", type=int, default=64, help="how many are kept busy (64)")
    parser.add_argument("--quick", action="store_true", help="processor time of the varied requests alone")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures of every round to a file")
    parser.add_argument("--write-docs", action="store_true", help="put the tables into docs/benchmarks.md")
    options = parser.parse_args(arguments)
    options.open_loop = options.identical = not options.quick
    return options


if __name__ == "__main__":
    # A signal that ends it ends the servers with it.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        uvloop.run(_main(_parse(sys.argv[1:])))
    except BenchError as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        sys.exit("Stopped.")
