"""Workers: whose parent is gone, they go too, and leave the port to those that come next."""

import httpx2

from core.settings import Settings
from tests.databases import only_sqlite
from tests.live.processes import start
from tests.waiting import until_so


@only_sqlite
async def test_workers_stop_when_their_parent_was_killed(fresh_settings: Settings) -> None:
    server = await start(fresh_settings, workers=2)

    async def is_gone() -> bool:
        try:
            async with httpx2.AsyncClient() as client:
                await client.get(f"{server.url}/health")
        except httpx2.ConnectError:
            return True
        return False

    assert not await is_gone()
    # The parent alone.
    server.process.kill()
    await until_so(is_gone)
    await server.kill()
