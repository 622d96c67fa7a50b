"""How servers grow: with the rows of an answer, with the connections, with the worker processes, and in memory."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from bench.ground import Ground
from bench.load import Figures
from bench.operations import LISTS, TASKS
from bench.questions import ask
from bench.rows import Rows
from bench.runs import Pace, load_for_long_enough, medians_of
from bench.servers import Server, pin, running

# Conversations, and messages of each.
_ROWS: Final = ((1, 10), (5, 20), (10, 100), (100, 100))
_CONNECTIONS: Final = (1, 4, 16, 64, 256)
_WORKERS: Final = (1, 2)
_CONNECTIONS_FOR_ROWS: Final = 8
_COMPARED: Final = ("ours", "mercurius", "bare")
_MOST_ROUNDS: Final = 3


@dataclass(frozen=True, slots=True)
class Grown:
    """What is typical of a server at one size."""

    size: int
    key: str
    medians: Figures


async def grow_rows(servers: Sequence[Server], rows: Rows, pace: Pace) -> list[Grown]:
    """Ask for 10 to 10,000 messages in one operation."""
    pace, found = pace.with_at_most(_CONNECTIONS_FOR_ROWS), []
    for conversations, messages in _ROWS:
        for server in _compared(servers):
            question = ask(server, LISTS, rows.grower, conversations=conversations, messages=messages)
            figures = [await load_for_long_enough(server, [question], pace) for _ in range(_rounds(pace))]
            found.append(_typical(conversations * messages, "messages", server.key, figures))
    return found


async def grow_connections(servers: Sequence[Server], rows: Rows, pace: Pace) -> list[Grown]:
    """Ask for 50 tasks over 1 to 256 connections."""
    found = []
    for connections in _CONNECTIONS:
        for server in _compared(servers):
            question = ask(server, TASKS, rows.reader)
            at_size = replace(pace, connections=connections)
            figures = [await load_for_long_enough(server, [question], at_size) for _ in range(_rounds(pace))]
            found.append(_typical(connections, "connections", server.key, figures))
    return found


async def grow_workers(ground: Ground, pace: Pace) -> list[Grown]:
    """Ask our server for 50 tasks, with one worker process a core; all else runs on the cores that are left."""
    others = ground.cores[max(_WORKERS) :]
    pin(ground.postgres_pid, others)
    os.sched_setaffinity(0, others)
    found = []
    for workers in _WORKERS:
        arguments = ("--workers", str(workers))
        async with running("ours", ground, ground.cores[:workers], arguments) as server:
            question = ask(server, TASKS, ground.rows.reader)
            figures = [await load_for_long_enough(server, [question], pace) for _ in range(_rounds(pace))]
            found.append(_typical(workers, "workers", server.key, figures))
    return found


def _compared(servers: Sequence[Server]) -> list[Server]:
    return [server for server in servers if server.key in _COMPARED]


def _rounds(pace: Pace) -> int:
    return min(pace.rounds, _MOST_ROUNDS)


def _typical(size: int, unit: str, key: str, figures: Sequence[Figures]) -> Grown:
    medians = medians_of(figures)
    print(f"{size} {unit}, {key}: {medians}", flush=True)
    return Grown(size, key, medians)
