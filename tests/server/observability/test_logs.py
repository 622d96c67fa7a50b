"""Log lines reach standard output whole, however much of one a pipe takes at once."""

import os
import subprocess
import sys

import pytest

from tests.live.processes import ROOT

INTERRUPTED = """
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
BESIDE_PRINTS = """
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


def output_of(program: str, *options: str, blocking: bool = True) -> bytes:
    """Return what a program writes to a pipe that waits, or does not wait, for its reader."""
    reading, writing = os.pipe()
    os.set_blocking(writing, blocking)
    command = [sys.executable, *options, "-c", program]
    with (
        subprocess.Popen(command, env={"PYTHONPATH": str(ROOT)}, stdout=writing) as process,
        os.fdopen(reading, "rb") as pipe,
    ):
        os.close(writing)
        written = pipe.read()
    assert process.returncode == 0
    return written


def test_partial_write_is_continued() -> None:
    assert output_of(INTERRUPTED, "-u") == b"".join(b"%d" % n * 20_000 + b"\n" for n in range(40))


@pytest.mark.parametrize("options", [[], ["-u"]])
def test_lines_wait_for_room_in_a_full_non_blocking_pipe(options: list[str]) -> None:
    numbers = [b"%d" % n * 200_000 for n in range(5)]
    expected = b"".join(b"%b\n.%b\n" % (number, number) for number in numbers)
    assert output_of(BESIDE_PRINTS, *options, blocking=False) == expected
