"""The example in Python, run as a program: it prints each message once, whatever is cut."""

import asyncio
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from tests.clock import MovableClock
from tests.examples.conftest import Opening
from tests.examples.cuttable import Cuttable
from tests.examples.elsewhere import Elsewhere
from tests.waiting import START_PATIENCE_S

pytestmark = pytest.mark.parametrize("backend", ["sqlite"], indirect=True, scope="session")

FOLLOW = Path(__file__).parents[2] / "examples" / "python_client" / "follow.py"


@asynccontextmanager
async def following(line: Cuttable, elsewhere: Elsewhere, *options: str) -> AsyncIterator[Process]:
    url = line.url.replace("http", "ws") + "/graphql"
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, str(FOLLOW), elsewhere.email, "--url", url, *options),
        env=os.environ | {"TASKTALK_PASSWORD": elsewhere.password},
        stdout=PIPE,
        stderr=PIPE,
    )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGINT)
        await process.communicate()


async def read_lines(process: Process, count: int) -> list[str]:
    assert process.stdout is not None
    async with asyncio.timeout(START_PATIENCE_S):
        return [(await process.stdout.readline()).decode().rstrip() for _ in range(count)]


async def until_cut_off(process: Process) -> None:
    assert process.stderr is not None
    async with asyncio.timeout(START_PATIENCE_S):
        line = await process.stderr.readline()
    assert line.startswith(b"reconnecting: "), line + await process.stderr.read()


async def test_everything_written_while_the_line_was_cut_is_printed_once(
    open_line: Callable[..., Opening], tmp_path: Path
) -> None:
    while_away = [f"While away {number}" for number in range(105)]
    cursor_file = ("--cursor-file", str(tmp_path / "cursor"))
    async with open_line() as (line, elsewhere):
        await elsewhere.sign_up()
        other_id, conversation_id = await elsewhere.create_conversation("Other"), await elsewhere.create_conversation()
        await elsewhere.write(conversation_id, ["One", "Two"])
        async with following(line, elsewhere, *cursor_file) as process:
            assert await read_lines(process, 2) == ["user: One", "user: Two"]
            await elsewhere.write(other_id, ["In another conversation"])
            await elsewhere.write(conversation_id, ["Three"])
            assert await read_lines(process, 1) == ["user: Three"]
            await line.cut()
            await until_cut_off(process)
            await elsewhere.write(conversation_id, while_away)
            await line.mend()
            assert await read_lines(process, len(while_away)) == [f"user: {content}" for content in while_away]
            await elsewhere.write(conversation_id, ["Live again"])
            assert await read_lines(process, 1) == ["user: Live again"]
        await elsewhere.write(conversation_id, ["Between two runs"])
        async with following(line, elsewhere, "--conversation", conversation_id, *cursor_file) as process:
            assert await read_lines(process, 1) == ["user: Between two runs"]


async def test_the_session_is_refreshed_when_the_token_expires(
    open_line: Callable[..., Opening], clock: MovableClock
) -> None:
    async with open_line() as (line, elsewhere):
        await elsewhere.sign_up()
        conversation_id = await elsewhere.create_conversation()
        await elsewhere.write(conversation_id, ["Before"])
        async with following(line, elsewhere) as process:
            assert await read_lines(process, 1) == ["user: Before"]
            clock.move_on(timedelta(minutes=30))
            await until_cut_off(process)
            await elsewhere.sign_in()
            await elsewhere.write(conversation_id, ["After"])
            assert await read_lines(process, 1) == ["user: After"]
