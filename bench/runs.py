"""Rounds of loads: in each, every operation on every server, one after the other, so that noise meets all alike."""

import statistics
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import asyncpg

from bench.agreement import require_agreement
from bench.asking import Request
from bench.load import Figures, load
from bench.operations import CREATE, Operation
from bench.questions import questions_of
from bench.rows import Rows
from bench.servers import Server

_TRIED: Final = 3
_REQUESTS_A_CONNECTION: Final = 3


@dataclass(frozen=True, slots=True)
class Pace:
    """How servers are loaded."""

    rounds: int
    seconds: float
    warm_up_s: float
    connections: int

    def with_at_most(self, connections: int) -> "Pace":
        """Return it with no more connections than these."""
        return replace(self, connections=min(self.connections, connections))


async def load_for_long_enough(server: Server, questions: Sequence[Request], pace: Pace) -> Figures:
    """Warm a server up and load it for the seconds asked for, or longer where requests are long."""
    began = time.perf_counter()
    for _ in range(_TRIED):
        await server.answer(questions[0])
    request_s = (time.perf_counter() - began) / _TRIED
    least_s = _REQUESTS_A_CONNECTION * pace.connections * request_s
    await load(server, questions, pace.connections, max(pace.warm_up_s, pace.connections * request_s))
    await server.rest()
    figures = await load(server, questions, pace.connections, max(pace.seconds, least_s))
    # What is left of it would be work for the core while the next server is measured.
    await server.rest()
    return figures


@dataclass(slots=True)
class Runs:
    """What is asked of each server, and what came of it, by operation and server."""

    servers: Sequence[Server]
    rows: Rows
    database_url: str
    operations: Sequence[Operation]
    questions: dict[tuple[str, str], Sequence[Request]] = field(default_factory=dict)
    figures: dict[tuple[str, str], list[Figures]] = field(default_factory=lambda: defaultdict(list))

    async def prepare(self) -> None:
        """Find out what to ask, and require that all servers answer alike."""
        for operation in self.operations:
            asked = []
            for server in self.servers:
                questions = await questions_of(server, operation, self.rows)
                self.questions[operation.name, server.key] = questions
                asked.append((server, questions[0]))
            await require_agreement(operation, asked, self.database_url)
            print(f"{operation.name}: all answers agree", flush=True)
        await self._forget_new_tasks()

    async def run(self, pace: Pace) -> None:
        """Load every server with every operation, in rounds."""
        for number in range(1, pace.rounds + 1):
            for operation in self.operations:
                for server in self.servers:
                    figures = await self._load(operation, server, pace)
                    print(f"round {number} of {pace.rounds}: {operation.name}, {server.key}: {figures}", flush=True)

    async def _load(self, operation: Operation, server: Server, pace: Pace) -> Figures:
        questions = self.questions[operation.name, server.key]
        figures = await load_for_long_enough(server, questions, pace.with_at_most(operation.most_connections))
        self.figures[operation.name, server.key].append(figures)
        if operation is CREATE:
            await self._forget_new_tasks()
        return figures

    async def _forget_new_tasks(self) -> None:
        """Let the next server begin with the same rows."""
        connection = await asyncpg.connect(self.database_url)
        writers = [writer.user.id for writer in self.rows.writers]
        for table in ("tasks", "history"):
            await connection.execute(f"DELETE FROM {table} WHERE user_id = ANY($1)", writers)  # noqa: S608 - see above
        await connection.execute("VACUUM ANALYZE tasks, history, users")
        await connection.close()

    def medians(self) -> dict[tuple[str, str], Figures]:
        """Return what is typical of each operation on each server."""
        return {measured: medians_of(figures) for measured, figures in self.figures.items()}

    def ratios(self) -> dict[tuple[str, str], float]:
        """Return how many times as many requests ours answers, as is typical of rounds: their noise meets both."""
        return {
            (operation, key): statistics.median(
                ours.rate / other.rate for ours, other in zip(self.figures[operation, "ours"], figures, strict=True)
            )
            for (operation, key), figures in self.figures.items()
            if (operation, "ours") in self.figures and key != "ours"
        }


def medians_of(figures: Sequence[Figures]) -> Figures:
    """Return what is typical of loads of the same kind."""
    return Figures(
        statistics.median(each.rate for each in figures),
        statistics.median(each.p50_ms for each in figures),
        statistics.median(each.p99_ms for each in figures),
        statistics.median(each.busy for each in figures),
    )
