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
NODE: Final = shutil.which("node")
NODE_PROGRAMS: Final = Path(__file__).parent / "node"

needs_node: Final = pytest.mark.skipif(NODE is None or NPM is None, reason="needs Node: node or npm is not on the path")


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


async def install_node_programs() -> None:
    """Install what the programs of tests need, unless it is there."""
    async with alone_in(NODE_PROGRAMS):
        if not (NODE_PROGRAMS / "node_modules/better-auth").is_dir():
            await npm(NODE_PROGRAMS, "ci", "--no-audit", "--no-fund", "--fetch-retries=0", or_skip=True)


async def npm(folder: Path, *arguments: str, or_skip: bool = False) -> None:
    """Run npm in the folder; where packages cannot be had the test may be skipped."""
    process = await asyncio.create_subprocess_exec(str(NPM), *arguments, cwd=folder, stdout=PIPE, stderr=PIPE)
    output, errors = await process.communicate()
    if process.returncode != 0 and or_skip:
        pytest.skip(f"needs the packages of {folder.name}, and `npm ci` failed: {errors.decode().strip()[:300]}")
    assert process.returncode == 0, output + errors
