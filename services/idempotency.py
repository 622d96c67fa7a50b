"""Mutations sent twice: the same key and request give the first answer again."""

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
from models.base import Owned
from services.accounts.caller import Caller
from services.query.lookup import require_all

Entity = TypeVar("Entity", bound=Owned)

_PATH = ("input", "idempotencyKey")


@dataclass(frozen=True, slots=True)
class Request:
    """What a mutation was asked for, and the key by which the client will know it again."""

    key: str | None
    operation: str
    content: Any


async def once(
    session: AsyncSession,
    caller: Caller,
    request: Request,
    model: type[Entity],
    make: Callable[[], Awaitable[Sequence[Entity]]],
) -> Sequence[Entity]:
    """Return what `make` makes, or what it made when the same request came first; the counter's lock is held."""
    if request.key is None:
        return await make()
    key = require_line(request.key, _PATH, most=200)
    request_hash = hashlib.sha256(orjson.dumps(request.content, option=orjson.OPT_SORT_KEYS)).hexdigest()
    first = await session.get(IdempotencyKey, (caller.user_id, key))
    if first is None:
        made = await make()
        session.add(
            IdempotencyKey(
                user_id=caller.user_id,
                key=key,
                operation=request.operation,
                request_hash=request_hash,
                result_ids=[row.id for row in made],
            )
        )
        return made
    if (first.operation, first.request_hash) != (request.operation, request_hash):
        raise ConflictError("This idempotencyKey was used for another request; use a new one.", path=_PATH)
    leave_unchanged(session)
    try:
        return await require_all(session, caller, model, first.result_ids, _PATH)
    except NotFoundError:
        message = "What this idempotencyKey made is deleted since; use a new key to make it again."
        raise NotFoundError(message, path=_PATH) from None
