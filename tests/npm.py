"""npm packages that tests need, installed once, whichever of the tests' processes comes first."""

import asyncio
import hashlib
import shutil
import tempfile
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import pytest
from fasteners import InterProcessLock

NPM: Final = shutil.which("npm")


@asynccontextmanager
async def alone_in(folder: Path) -> AsyncIterator[None]:
    """Keep the other processes from the folder's packages while the block runs."""
    name = hashlib.sha256(str(folder).encode()).hexdigest()[:16]
    lock = InterProcessLock(Path(tempfile.gettempdir(), f"tasktalk-npm-{name}.lock"))
    await asyncio.to_thread(lock.acquire)
    try:
        yield
    finally:
        lock.release()


async def npm(folder: Path, *arguments: str, or_skip: bool = False) -> None:
    """Run npm in the folder; where packages cannot be had the test may be skipped."""
    process = await asyncio.create_subprocess_exec(str(NPM), *arguments, cwd=folder, stdout=PIPE, stderr=PIPE)
    output, errors = await process.communicate()
    if process.returncode != 0 and or_skip:
        pytest.skip(f"needs the packages of {folder.name}, and `npm ci` failed: {errors.decode().strip()[:300]}")
    assert process.returncode == 0, output + errors
