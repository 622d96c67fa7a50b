"""The end of a server: a part that hangs or fails does not keep the others from being closed."""

import asyncio

import pytest

from core.settings import Settings
from server.app import create_app
from tests.servers import serve


async def test_part_that_hangs_or_fails_does_not_keep_others_open(
    fresh_settings: Settings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    app = create_app(fresh_settings.model_copy(update={"shutdown_grace_s": 1.0}))
    runtime, closed = app.state.runtime, asyncio.Event()
    close_live, close_database = runtime.live.close, runtime.database.close

    async def hang() -> None:
        await close_live()
        await asyncio.Event().wait()

    async def fail() -> None:
        raise LookupError

    async def close() -> None:
        await close_database()
        closed.set()

    monkeypatch.setattr(runtime.live, "close", hang)
    monkeypatch.setattr(runtime.accounts, "close", fail)
    monkeypatch.setattr(runtime.database, "close", close)
    async with serve(app):
        pass
    assert closed.is_set()
    assert [record.exc_info[0] for record in caplog.records if record.exc_info] == [TimeoutError, LookupError]
