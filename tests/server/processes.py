"""The server as a process of its own."""

import asyncio
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import httpx2

from core.settings import Settings
from tests.waiting import PATIENCE_S, START_PATIENCE_S

TASKTALK: Final = (sys.executable, "-m", "server.cli")
ROOT: Final = Path(__file__).parents[2]


def variables(settings: Settings, **others: str) -> dict[str, str]:
    return {"DATABASE_URL": settings.database_url, "SECRET_KEY": settings.secret_key} | others


@asynccontextmanager
async def serving(*arguments: str, **environment: str) -> AsyncIterator[tuple[Process, str]]:
    variables = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "error"} | environment
    process = await asyncio.create_subprocess_exec(
        *TASKTALK, "serve", *arguments, env=variables, stdout=PIPE, stderr=PIPE
    )
    assert process.stdout is not None
    try:
        greeting = (await process.stdout.readline()).decode()
        yield process, greeting
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        await asyncio.wait_for(process.communicate(), START_PATIENCE_S)


async def until_ready(url: str) -> httpx2.Response:
    async with asyncio.timeout(START_PATIENCE_S), httpx2.AsyncClient(timeout=PATIENCE_S) as client:
        while True:
            try:
                response = await client.get(f"{url}/ready")
            except httpx2.TransportError:
                await asyncio.sleep(0.05)
            else:
                # It says so too where the database is only slower than a probe waits.
                if "does not answer" not in response.text:
                    return response
