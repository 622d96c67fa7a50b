"""Workers: forked from one that has loaded all, replaced at once, gone when their parent is gone."""

import subprocess
import sys

import httpx2
import psutil

from core.settings import Settings
from server.workers import STARTUP_FAILED
from tests.databases import only_sqlite
from tests.live.processes import ROOT, ServerProcess, serving, start
from tests.waiting import PATIENCE_S, until


async def answers(server: ServerProcess) -> bool:
    """Ask over a connection of its own, which any of the workers may take."""
    try:
        async with httpx2.AsyncClient(timeout=PATIENCE_S) as client:
            return (await client.get(f"{server.url}/health")).is_success
    except httpx2.ConnectError:
        return False


def workers_of(server: ServerProcess) -> set[psutil.Process]:
    return set(psutil.Process(server.process.pid).children())


@only_sqlite
async def test_workers_stop_when_their_parent_was_killed(fresh_settings: Settings) -> None:
    server = await start(fresh_settings, workers=2)
    workers = workers_of(server)
    assert len(workers) == 2
    # The parent alone.
    server.process.kill()
    await until(lambda: not any(map(psutil.Process.is_running, workers)))
    assert not await answers(server)
    await server.process.wait()


async def test_killed_worker_is_replaced_without_loading_anything_again(fresh_settings: Settings) -> None:
    async with serving(fresh_settings, workers=2, PYTHONPROFILEIMPORTTIME="1") as server:
        # Only from a process without other threads can others be forked.
        assert psutil.Process(server.process.pid).num_threads() == 1
        for _ in range(2):
            before = workers_of(server)
            killed = before.pop()
            killed.kill()
            await until(lambda killed=killed: killed not in workers_of(server))  # type: ignore[misc]
            # Those that are left answer, and the new one by and by.
            for _ in range(10):
                assert await answers(server)
            await until(lambda before=before: len(workers_of(server) - before) == 1)  # type: ignore[misc]
        loaded = [line.split()[-1] for line in server.lines if line.startswith("import time:")]
        assert [loaded.count(name) for name in ("fastapi", "strawberry", "server.app")] == [1, 1, 1]
    assert server.process.returncode == 0


def test_workers_that_cannot_start_end_the_server() -> None:
    program = (
        f"import sys; from server.workers import Workers; print(Workers(lambda: sys.exit({STARTUP_FAILED}), 2).run())"
    )
    ended = subprocess.run([sys.executable, "-W", "error", "-c", program], cwd=ROOT, check=True, capture_output=True)
    assert ended.stdout == b"False\n"
