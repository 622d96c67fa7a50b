"""What a whole measurement has found, and in what setting."""

import platform
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Final

import orjson

from bench.growth import Grown
from bench.load import Figures
from bench.runs import Pace

_PRECISE_BELOW: Final = 10
_PACKAGES: Final = Path(__file__).parent / "peers" / "node_modules"


@dataclass(slots=True)
class Findings:
    """Medians by operation and server, how many times as much ours does, and what else was measured."""

    operations: Sequence[str]
    keys: Sequence[str]
    medians: Mapping[tuple[str, str], Figures]
    ratios: Mapping[tuple[str, str], float]
    memory: Mapping[str, tuple[float, float]]
    rows: Sequence[Grown] = field(default_factory=list)
    connections: Sequence[Grown] = field(default_factory=list)
    workers: Sequence[Grown] = field(default_factory=list)


def shown(value: float) -> str:
    """Return a figure with as many digits as mean something."""
    return f"{value:.1f}" if value < _PRECISE_BELOW else f"{value:,.0f}"


def setting(keys: Sequence[str], pace: Pace, cores: int, postgres: str) -> str:
    """Say in what setting the figures were found."""
    rounds = "round" if pace.rounds == 1 else "rounds"
    return (
        f"{cores} cores, one of them the server's; {pace.connections} connections; {pace.rounds} {rounds} of "
        f"{pace.seconds:g} s for each operation and server, after {pace.warm_up_s:g} s of warm-up; "
        f"{', '.join(_versions(keys, postgres))}."
    )


def _versions(keys: Sequence[str], postgres: str) -> list[str]:
    found = [f"PostgreSQL {postgres}", f"Python {platform.python_version()}"]
    found += [
        f"{name} {version(name)}" for name in ("uvicorn", "asyncpg", "SQLAlchemy", "strawberry-graphql", "fastapi")
    ]
    if any(key in keys for key in ("mercurius", "postgraphile")):
        node = subprocess.run([_PACKAGES / "node" / "bin" / "node", "--version"], capture_output=True, check=True)  # noqa: S603
        found.append(f"Node {node.stdout.decode().strip().removeprefix('v')}")
        found += [f"{name} {_npm_version(name)}" for name in ("mercurius", "postgraphile", "pg")]
    return found


def _npm_version(name: str) -> str:
    return str(orjson.loads((_PACKAGES / name / "package.json").read_bytes())["version"])
