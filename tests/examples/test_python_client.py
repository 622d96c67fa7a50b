"""The examples in Python, run as programs: they print each message once and replies as they are written."""

import asyncio
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

from tests.assistant.provider import Provider, Stall, Text
from tests.browsers import one_database
from tests.clock import MovableClock
from tests.examples.conftest import go_on
from tests.examples.cuttable import Cuttable
from tests.examples.elsewhere import Elsewhere
from tests.live.processes import program
from tests.waiting import START_PATIENCE_S

pytestmark = one_database

FOLDER = Path(__file__).parents[2] / "examples" / "python_client"
BEGINNING, MIDDLE, END = "Your week \N{PARTY POPPER} ", "is \N{DESERT} ", "free."


@asynccontextmanager
async def running(example: str, line: Cuttable, elsewhere: Elsewhere, *arguments: str) -> AsyncIterator[Process]:
    url = line.url.replace("http", "ws") + "/graphql"
    command = (sys.executable, str(FOLDER / example), elsewhere.email, *arguments, "--url", url)
    environment = os.environ | {"TASKTALK_PASSWORD": elsewhere.password, "PYTHONIOENCODING": "utf-8"}
    async with program(*command, env=environment, stdin=PIPE, stderr=PIPE) as process:
        async with asyncio.timeout(2 * START_PATIENCE_S):
            yield process


async def read(process: Process, text: str) -> None:
    """Read what is printed up to a text, which has to come next."""
    assert process.stdout is not None
    assert (await process.stdout.readexactly(len(text.encode()))).decode() == text


async def read_lines(process: Process, *contents: str) -> None:
    await read(process, "".join(f"user: {content}\n" for content in contents))


async def read_rest(process: Process) -> str:
    output, errors = await process.communicate()
    assert process.returncode == 0, errors
    return output.decode()


async def until_cut_off(process: Process) -> None:
    assert process.stderr is not None
    line = await process.stderr.readline()
    assert line.startswith(b"reconnecting: "), line + await process.stderr.read()


async def test_messages_during_a_cut_are_printed_once(line: Cuttable, elsewhere: Elsewhere, tmp_path: Path) -> None:
    while_away = [f"While away {number}" for number in range(105)]
    cursor_file = ("--cursor-file", str(tmp_path / "cursor"))
    await elsewhere.sign_up()
    other_id, conversation_id = await elsewhere.create_conversation("Other"), await elsewhere.create_conversation()
    await elsewhere.write(conversation_id, ["One", "Two"])
    async with running("follow.py", line, elsewhere, *cursor_file) as process:
        await read_lines(process, "One", "Two")
        await elsewhere.write(other_id, ["In another conversation"])
        await elsewhere.write(conversation_id, ["Three"])
        await read_lines(process, "Three")
        await line.cut()
        await until_cut_off(process)
        await elsewhere.write(conversation_id, while_away)
        await line.mend()
        await read_lines(process, *while_away)
        await elsewhere.write(conversation_id, ["Live again"])
        await read_lines(process, "Live again")
        process.send_signal(signal.SIGINT)
        await process.wait()
    await elsewhere.write(conversation_id, ["Between two runs"])
    async with running("follow.py", line, elsewhere, "--conversation", conversation_id, *cursor_file) as process:
        await read_lines(process, "Between two runs")


async def test_expired_token_is_refreshed(line: Cuttable, elsewhere: Elsewhere, clock: MovableClock) -> None:
    await elsewhere.sign_up()
    conversation_id = await elsewhere.create_conversation()
    await elsewhere.write(conversation_id, ["Before"])
    async with running("follow.py", line, elsewhere) as process:
        await read_lines(process, "Before")
        clock.move_on(timedelta(minutes=30))
        await until_cut_off(process)
        await elsewhere.sign_in()
        await elsewhere.write(conversation_id, ["After"])
        await read_lines(process, "After")


async def test_the_reply_is_printed(line: Cuttable, elsewhere: Elsewhere) -> None:
    await elsewhere.sign_up()
    message = "add buy milk for tomorrow and tell me what is open"
    async with running("chat.py", line, elsewhere, message) as process:
        reply = await read_rest(process)
    assert reply == await elsewhere.last_message() + "\n"
    assert "buy milk" in reply
    assert await elsewhere.task_titles() == ["buy milk"]


async def test_reply_continues_after_a_cut(provider: Provider, line: Cuttable, elsewhere: Elsewhere) -> None:
    provider.script([Text([BEGINNING]), Stall(), Text([MIDDLE]), Stall(), Text([END])])
    await elsewhere.sign_up()
    async with running("chat.py", line, elsewhere, "How is my week?") as process:
        await read(process, BEGINNING)
        await line.cut()
        go_on(provider)
        await elsewhere.until_last_message(BEGINNING + MIDDLE)
        await line.mend()
        await read(process, MIDDLE)
        go_on(provider)
        assert await read_rest(process) == END + "\n"


async def test_deletion_is_asked_for(line: Cuttable, elsewhere: Elsewhere) -> None:
    await elsewhere.sign_up()
    await elsewhere.create_task("pay the rent")
    for answer, left in (("n", ["pay the rent"]), ("y", [])):
        async with running("chat.py", line, elsewhere, "delete pay the rent") as process:
            assert process.stdin is not None
            assert process.stdout is not None
            assert "May the assistant use delete_task" in (await process.stdout.readuntil(b"[y/N] ")).decode()
            process.stdin.write(f"{answer}\n".encode())
            await read_rest(process)
        assert await elsewhere.task_titles() == left
