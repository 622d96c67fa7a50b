"""GraphQL over HTTP: the endpoint passes every audit of the npm package graphql-http."""

import asyncio
import json
import shutil
from asyncio.subprocess import PIPE
from pathlib import Path

import pytest

from tests.npm import NPM, alone_in, npm
from tests.servers import RunningServer

NODE_CLIENTS = Path(__file__).parents[2] / "node"
NODE = shutil.which("node")

pytestmark = pytest.mark.skipif(NODE is None or NPM is None, reason="needs Node: node or npm is not on the path")


@pytest.fixture(scope="session")
async def node_clients() -> Path:
    async with alone_in(NODE_CLIENTS):
        if not (NODE_CLIENTS / "node_modules/@urql/exchange-persisted").is_dir():
            await npm(NODE_CLIENTS, "ci", "--no-audit", "--no-fund", "--fetch-retries=0", or_skip=True)
    return NODE_CLIENTS


async def run(*command: str) -> tuple[int | None, str, str]:
    process = await asyncio.create_subprocess_exec(*command, cwd=NODE_CLIENTS, stdout=PIPE, stderr=PIPE)
    try:
        output, errors = await asyncio.wait_for(process.communicate(), timeout=120)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return process.returncode, output.decode(), errors.decode()


@pytest.mark.usefixtures("node_clients")
async def test_every_audit_is_ok(server: RunningServer) -> None:
    status, output, errors = await run(str(NODE), "audit.mjs", f"{server.url}/graphql")
    assert status == 0, errors
    audits = json.loads(output)
    not_ok = [audit for audit in audits if audit["status"] != "ok"]
    assert not not_ok, "\n".join("{status} {id} {name}: {reason}".format(**audit) for audit in not_ok)
    assert len(audits) == 61
