"""Log lines reach standard output whole, however much of one a pipe takes at once."""

import os
import subprocess
import sys

import pytest

from tests.server.processes import ROOT


def test_partial_write_is_continued() -> None:
    lines = [b"%d" % n * 20_000 + b"\n" for n in range(40)]
    program = """
import asyncio, signal
from server.observability.logs import _output as output

async def main():
    signal.signal(signal.SIGALRM, lambda *_: None)
    signal.setitimer(signal.ITIMER_REAL, 0.01, 0.01)
    for n in range(40):
        output.write(b"%d" % n * 20_000 + b"\\n")
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
def test_lines_wait_for_room_in_a_full_non_blocking_pipe(options: list[str]) -> None:
    program = """
import asyncio, sys
from server.observability.logs import _output as output

async def main():
    for n in range(5):
        output.write(b"%d" % n * 200_000 + b"\\n")
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
    assert written == b"".join(b"%b\n.%b\n" % (number, number) for number in numbers)
