"""Idempotency keys: a mutation that is sent again with the same key gives the first answer again."""

import hashlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import orjson
from sqlmodel.ext.asyncio.session import AsyncSession

from core.database import leave_unchanged
from core.errors import ConflictError, NotFoundError
from core.text import require_line
from models import IdempotencyKey
from models.base import Entity
from services.accounts.caller import Caller
from services.query.lookup import require_all

Row = TypeVar("Row", bound=Entity)

_PATH = ("input", "idempotencyKey")


@dataclass(frozen=True, slots=True)
class IdempotentRequest:
    """The key that a client has sent, and the request as it was sent, without defaults."""

    key: str | None
    operation: str
    content: Any


async def run_idempotent(
    session: AsyncSession,
    caller: Caller,
    request: IdempotentRequest,
    model: type[Row],
    create: Callable[[], Awaitable[Sequence[Row]]],
) -> Sequence[Row]:
    """Return what `create` creates, or what it created when the same request came first; the counter's lock is held."""
    if request.key is None:
        return await create()
    key = require_line(request.key, _PATH, most=200)
    request_hash = hashlib.sha256(orjson.dumps(request.content, option=orjson.OPT_SORT_KEYS)).hexdigest()
    first = await session.get(IdempotencyKey, (caller.user_id, key))
    if first is None:
        created = await create()
        session.add(
            IdempotencyKey(
                user_id=caller.user_id,
                key=key,
                operation=request.operation,
                request_hash=request_hash,
                result_ids=[row.id for row in created],
            )
        )
        return created
    if (first.operation, first.request_hash) != (request.operation, request_hash):
        raise ConflictError("This idempotencyKey was used for another request; use a new one.", path=_PATH)
    leave_unchanged(session)
    try:
        return await require_all(session, caller, model, first.result_ids, _PATH)
    except NotFoundError:
        message = "What this idempotencyKey made is deleted since; use a new key to make it again."
        raise NotFoundError(message, path=_PATH) from None
