"""The limit: ASGI by hand, a statement by hand for each operation, rows from asyncpg, JSON by orjson."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from typing import Any, Final

import asyncpg
import orjson
from jose import jwt

from bench.peers.bare_operations import OPERATIONS

_SECRET: Final = os.environ["SECRET_KEY"]
_POOL_SIZE: Final = int(os.environ["POOL_SIZE"])
_HEADERS: Final = [(b"content-type", b"application/json; charset=utf-8")]

Send = Callable[[dict[str, Any]], Awaitable[None]]
Receive = Callable[[], Awaitable[dict[str, Any]]]


class Bare:
    """The application: a pool, and the tokens that were verified."""

    def __init__(self) -> None:
        self._pool: Any = None
        # The pool lets those who come overtake those who wait.
        self._turns = asyncio.Semaphore(_POOL_SIZE)
        self._users: dict[bytes, str] = {}

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        """Answer a request, or the server's own start and stop."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        body = orjson.loads(await _read(receive))
        answer = orjson.dumps({"data": await self._data(self._user_id(scope), body)})
        headers = [*_HEADERS, (b"content-length", b"%d" % len(answer))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": answer})

    async def _data(self, user_id: str, body: dict[str, Any]) -> dict[str, Any]:
        text = body["query"]
        async with self._turns, self._pool.acquire() as connection:
            return await OPERATIONS[text](connection, user_id, body.get("variables") or {})

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        self._pool = await asyncpg.create_pool(
            os.environ["DATABASE_URL"], min_size=_POOL_SIZE, max_size=_POOL_SIZE, reset=_leave_as_it_is
        )
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self._pool.close()
        await send({"type": "lifespan.shutdown.complete"})

    def _user_id(self, scope: dict[str, Any]) -> str:
        token = next(value for name, value in scope["headers"] if name == b"authorization")
        user_id = self._users.get(token)
        if user_id is None:
            claims = jwt.decode(
                token.removeprefix(b"Bearer ").decode(), _SECRET, "HS256", issuer="tasktalk", audience="tasktalk"
            )
            user_id = self._users[token] = str(claims["sub"])
        return user_id


async def _leave_as_it_is(_connection: Any) -> None:
    """Save the round trip that would undo what nobody does to a connection."""


async def _read(receive: Receive) -> bytes:
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    return body


app: Final = Bare()
