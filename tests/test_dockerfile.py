"""The Dockerfile, as far as it can be tried without Docker: its steps are ours, its health check works."""

import asyncio
import json
import os
import re
import socket
import sys
import tomllib
from pathlib import Path
from typing import Final

from tests.servers import RunningServer

ROOT: Final = Path(__file__).parents[1]
DOCKERFILE: Final = (ROOT / "Dockerfile").read_text(encoding="utf-8")
MAKEFILE: Final = (ROOT / "Makefile").read_text(encoding="utf-8")
DOCKERIGNORE: Final = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()


def test_builds_with_the_commands_of_make() -> None:
    targets = re.findall(r"^RUN make (\w+)", DOCKERFILE, re.MULTILINE)
    assert targets == ["web", "dependencies", "runtime"]
    assert [target for target in targets if not re.search(rf"^{target}:", MAKEFILE, re.MULTILINE)] == []


def test_holds_all_that_is_installed_and_no_secrets() -> None:
    let_in = {line.removeprefix("!") for line in DOCKERIGNORE if line.startswith("!")}
    assert "*" in DOCKERIGNORE
    packages = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]["packages"]
    assert {name.removesuffix("*") for name in packages["find"]["include"]} <= let_in
    assert [name for name in let_in if not (ROOT / name).exists()] == []
    assert let_in.isdisjoint({".env", "data", ".git"})


def test_runs_as_an_ordinary_user_in_production() -> None:
    runtime = DOCKERFILE.rpartition("\nFROM ")[2]
    assert re.search(r"^USER [1-9]\d*:[1-9]\d*$", runtime, re.MULTILINE)
    assert "ENVIRONMENT=production" in runtime


async def health_check(port: int) -> int | None:
    found = re.search(r"^HEALTHCHECK .* CMD (\[.*\])$", DOCKERFILE, re.MULTILINE)
    assert found is not None
    _python, *arguments = json.loads(found[1])
    environment = os.environ | {"API_PORT": str(port)}
    devnull = asyncio.subprocess.DEVNULL
    process = await asyncio.create_subprocess_exec(sys.executable, *arguments, env=environment, stderr=devnull)
    return await process.wait()


async def test_health_check(server: RunningServer) -> None:
    assert await health_check(int(server.url.rpartition(":")[2])) == 0
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
    assert await health_check(port) == 1
