"""Processor time and memory of process trees, read from /proc."""

import asyncio
import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

_TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")
_KIB_PER_MIB: Final = 1024
_IDLE_CPU_S: Final = 0.1


def cpu_s(pid: int) -> float:
    """Return the processor time that a process tree has used, user and system, in seconds.

    Children that ended are counted too: the kernel adds their time to the parent's once it has waited for them.
    """
    return sum(map(_cpu_ticks, _tree(pid))) / _TICKS_PER_S


async def until_idle(pid: int) -> None:
    """Return once a process tree has nothing to do: a server imports what it needs later when it has started."""
    used_s = math.inf
    while used_s > _IDLE_CPU_S:
        before_s = cpu_s(pid)
        await asyncio.sleep(1)
        used_s = cpu_s(pid) - before_s


def memory_mib(pid: int) -> float:
    """Return the memory of a process tree; a page that several share is counted once (proportional set size)."""
    return sum(map(_memory_kib, _tree(pid))) / _KIB_PER_MIB


def _tree(pid: int) -> Iterator[int]:
    yield pid
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in _read(path).split():
            yield from _tree(int(child))


def _cpu_ticks(pid: int) -> int:
    # The name in brackets may hold spaces; after it come, as 12th to 15th, utime, stime, cutime and cstime.
    fields = _read(Path(f"/proc/{pid}/stat")).rpartition(")")[2].split()
    return sum(map(int, fields[11:15]))


def _memory_kib(pid: int) -> int:
    lines = _read(Path(f"/proc/{pid}/smaps_rollup")).splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))


def _read(path: Path) -> str:
    """Return the text of a file in /proc, empty where the process has ended."""
    try:
        return path.read_text(encoding="utf-8")
    except (FileNotFoundError, ProcessLookupError):
        return ""
