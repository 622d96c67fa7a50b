"""The example chat.py, run as a program: it prints the reply as it is written, and asks before a task is deleted."""

import asyncio
import os
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.assistant.provider import Provider, Stall, Text
from tests.examples.conftest import Opening, go_on
from tests.examples.cuttable import Cuttable
from tests.examples.elsewhere import Elsewhere
from tests.waiting import START_PATIENCE_S

pytestmark = pytest.mark.parametrize("backend", ["sqlite"], indirect=True, scope="session")

CHAT = Path(__file__).parents[2] / "examples" / "python_client" / "chat.py"
BEGINNING, MIDDLE, END = "Your week \N{PARTY POPPER} ", "is \N{DESERT} ", "free."


@asynccontextmanager
async def asking(line: Cuttable, elsewhere: Elsewhere, message: str) -> AsyncIterator[Process]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, str(CHAT), elsewhere.email, message),
        *("--url", line.url.replace("http", "ws") + "/graphql"),
        env=os.environ | {"TASKTALK_PASSWORD": elsewhere.password, "PYTHONIOENCODING": "utf-8"},
        stdin=PIPE,
        stdout=PIPE,
        stderr=PIPE,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def read(process: Process, text: str) -> None:
    """Read what is printed up to a text, which has to come next."""
    assert process.stdout is not None
    async with asyncio.timeout(START_PATIENCE_S):
        assert (await process.stdout.readexactly(len(text.encode()))).decode() == text


async def read_rest(process: Process) -> str:
    async with asyncio.timeout(START_PATIENCE_S):
        output, errors = await process.communicate()
    assert process.returncode == 0, errors
    return output.decode()


async def test_the_reply_is_printed(open_line: Callable[..., Opening]) -> None:
    async with open_line() as (line, elsewhere):
        await elsewhere.sign_up()
        async with asking(line, elsewhere, "add buy milk for tomorrow and tell me what is open") as process:
            reply = await read_rest(process)
        assert reply == await elsewhere.last_message() + "\n"
        assert "buy milk" in reply
        assert await elsewhere.task_titles() == ["buy milk"]


async def test_a_reply_that_was_cut_off_goes_on_where_it_was(
    open_line: Callable[..., Opening], provider: Provider
) -> None:
    provider.script([Text([BEGINNING]), Stall(), Text([MIDDLE]), Stall(), Text([END])])
    async with open_line(openai_api_key="sk-test", openai_base_url=provider.url) as (line, elsewhere):
        await elsewhere.sign_up()
        async with asking(line, elsewhere, "How is my week?") as process:
            await read(process, BEGINNING)
            await line.cut()
            go_on(provider)
            await elsewhere.until_last_message(BEGINNING + MIDDLE)
            await line.mend()
            await read(process, MIDDLE)
            go_on(provider)
            assert await read_rest(process) == END + "\n"


async def test_deletion_is_asked_for(open_line: Callable[..., Opening]) -> None:
    async with open_line() as (line, elsewhere):
        await elsewhere.sign_up()
        await elsewhere.create_task("pay the rent")
        for answer, left in (("n", ["pay the rent"]), ("y", [])):
            async with asking(line, elsewhere, "delete pay the rent") as process:
                assert process.stdin is not None
                assert process.stdout is not None
                async with asyncio.timeout(START_PATIENCE_S):
                    assert "May the assistant use delete_task" in (await process.stdout.readuntil(b"[y/N] ")).decode()
                process.stdin.write(f"{answer}\n".encode())
                await read_rest(process)
            assert await elsewhere.task_titles() == left
