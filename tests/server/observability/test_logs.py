"""Lines of requests reach standard output in their order, many by one write, and none is lost at the end."""

import asyncio
import json
import os
import re
import signal
import socket
import subprocess
import sys

import httpx2
import pytest

from core.settings import Settings
from tests.server.processes import ROOT, serving, until_ready, variables
from tests.waiting import PATIENCE_S, START_PATIENCE_S

PROGRAM = """
import asyncio
from server.observability.logs import _output as output

async def main():
    for n in range(3):
        output.msg_soon(b"soon %d\\n" % n)
    await asyncio.sleep(0)
    output.msg_soon(b"soon 3\\n")
    output.msg("at once")
    output.msg_soon(b"last\\n")
    {end}

asyncio.run(main())
"""


def writes_of(program: str, *, is_buffered: bool) -> list[bytes]:
    """Return what the program writes to its standard output, write by write."""
    unbuffered = [] if is_buffered else ["-u"]
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        command = [sys.executable, *unbuffered, "-c", program]
        subprocess.run(command, env={"PYTHONPATH": str(ROOT)}, stdout=theirs.fileno(), check=False)
        theirs.close()
        return list(iter(lambda: ours.recv(10_000), b""))


@pytest.mark.parametrize("end", ["", "await asyncio.sleep(0)", "raise SystemExit(1)"])
@pytest.mark.parametrize("is_buffered", [True, False])
def test_one_write_for_the_lines_of_one_turn(end: str, *, is_buffered: bool) -> None:
    writes = writes_of(PROGRAM.format(end=end), is_buffered=is_buffered)
    assert writes == [b"soon 0\nsoon 1\nsoon 2\n", b"soon 3\nat once\n", b"last\n"]


def test_a_write_that_takes_less_than_it_is_given() -> None:
    lines = [b"%d" % n * 20_000 + b"\n" for n in range(40)]
    program = """
import asyncio, signal
from server.observability.logs import _output as output

async def main():
    signal.signal(signal.SIGALRM, lambda *_: None)
    signal.setitimer(signal.ITIMER_REAL, 0.01, 0.01)
    for n in range(40):
        output.msg_soon(b"%d" % n * 20_000 + b"\\n")
    await asyncio.sleep(0)
    signal.setitimer(signal.ITIMER_REAL, 0)

asyncio.run(main())
"""
    command = [sys.executable, "-u", "-c", program]
    with subprocess.Popen(command, env={"PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        written = process.stdout.read()
    assert written == b"".join(lines)


@pytest.mark.parametrize("options", [[], ["-u"]])
def test_a_pipe_that_is_full_and_does_not_block(options: list[str]) -> None:
    program = """
import asyncio, sys
from server.observability.logs import _output as output

async def main():
    for n in range(5):
        output.msg_soon(b"%d" % n * 200_000 + b"\\n")
        sys.stdout.write(".")
        await asyncio.sleep(0)
        output.msg(f"{n}" * 200_000)

asyncio.run(main())
"""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    command = [sys.executable, *options, "-c", program]
    with (
        subprocess.Popen(command, env={"PYTHONPATH": str(ROOT)}, stdout=writing) as process,
        os.fdopen(reading, "rb") as pipe,
    ):
        os.close(writing)
        written = pipe.read()
    assert process.returncode == 0
    numbers = [b"%d" % n * 200_000 for n in range(5)]
    assert written == b"".join(b".%b\n%b\n" % (number, number) for number in numbers)


@pytest.mark.parametrize("workers", ["1", "2"])
async def test_a_server_that_is_told_to_stop_loses_no_line(settings: Settings, workers: str) -> None:
    environment = variables(settings, ENVIRONMENT="production", PYTHONUNBUFFERED="1")
    async with serving("--port", "0", "--workers", workers, **environment) as (process, greeting):
        found = re.search(r"http://\S+:\d+", greeting)
        assert found is not None
        await until_ready(found[0])
        async with httpx2.AsyncClient(base_url=found[0], timeout=PATIENCE_S) as client:
            asking = (client.post("/graphql", json={"query": "{ __typename }"}) for _ in range(50))
            assert {answer.status_code for answer in await asyncio.gather(*asking)} == {200}
        os.kill(process.pid, signal.SIGTERM)
        output, _ = await asyncio.wait_for(process.communicate(), START_PATIENCE_S)
    lines = [json.loads(line) for line in output.splitlines() if line.startswith(b"{")]
    assert sum(line["event"] == "request" for line in lines) == 50
