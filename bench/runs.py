"""The operations of each server, whether their answers agree, and what rounds of loads gave."""

import statistics
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import asyncpg

from bench.load import BenchError, Figures, Request, load
from bench.operations import CREATE_TASK, Operation, normalised, reads
from bench.rows import Rows
from bench.servers import Server


@dataclass(slots=True)
class Runs:
    """What is asked of which server, and what came of it."""

    servers: Sequence[Server]
    rows: Rows
    database_url: str
    operations: Sequence[Operation]
    figures: dict[tuple[str, str], list[Figures]] = field(default_factory=lambda: defaultdict(list))

    @classmethod
    async def prepared(
        cls, servers: Sequence[Server], rows: Rows, database_url: str, only: Sequence[str] | None
    ) -> "Runs":
        chosen = [
            each
            for each in [*reads(rows), CREATE_TASK]
            if not only or any(word.lower() in each.name.lower() for word in only)
        ]
        return cls(servers, rows, database_url, chosen)

    async def check(self) -> None:
        for operation in self.operations:
            answers = {}
            for server in self.servers:
                answers[server.key] = normalised(await self._answer(server, operation))
            if operation is CREATE_TASK:
                continue
            first, *rest = answers
            for key in rest:
                if answers[key] != answers[first]:
                    raise BenchError(
                        f"{key} and {first} disagree on {operation.name}:\n{answers[key]}\n{answers[first]}"
                    )

    async def _answer(self, server: Server, operation: Operation) -> Any:
        request = self._requests(operation)[0]
        return await server.answer(request.token, request.body)

    def _requests(self, operation: Operation) -> list[Request]:
        body = {"query": operation.text, "variables": operation.variables}
        people = self.rows.writers if operation is CREATE_TASK else [self.rows.reader]
        return [Request(person.token, body) for person in people]

    async def run_round(self, number: int, connections: int, seconds: float, warm_up: float) -> None:
        for operation in self.operations:
            for server in self.servers:
                requests = self._requests(operation)
                if warm_up:
                    await load(server.url, requests, connections, warm_up)
                figures = await load(server.url, requests, connections, seconds)
                if operation is CREATE_TASK:
                    await self._forget_new_tasks()
                self.figures[operation.name, server.key].append(figures)
                print(
                    f"round {number + 1}: {operation.name}, {server.key}: {figures.rate:,.0f}/s, "
                    f"p50 {figures.p50_ms:.1f} ms, p99 {figures.p99_ms:.1f} ms",
                    flush=True,
                )

    async def _forget_new_tasks(self) -> None:
        connection = await asyncpg.connect(self.database_url)
        writers = [writer.user.id for writer in self.rows.writers]
        await connection.execute("DELETE FROM tasks WHERE user_id = ANY($1)", writers)
        await connection.execute("DELETE FROM task_changes WHERE user_id = ANY($1)", writers)
        await connection.execute("VACUUM ANALYZE tasks, task_changes, users")
        await connection.close()

    def table(self) -> str:
        keys = [server.key for server in self.servers]
        lines = ["| operation | " + " | ".join(keys) + " |", "| --- " * (len(keys) + 1) + "|"]
        for operation in self.operations:
            rates = {key: statistics.median(each.rate for each in self.figures[operation.name, key]) for key in keys}
            lines.append(f"| {operation.name} | " + " | ".join(f"{rates[key]:,.0f}" for key in keys) + " |")
        return "\n".join(lines)
