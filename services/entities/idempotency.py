"""Idempotency keys: a mutation that is sent again with the same key gives the first answer again."""

import hashlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson
from sqlalchemy import bindparam, select

from core.errors import ConflictError, ErrorReason, NotFoundError
from core.prepared_statement import PreparedStatement
from core.text import require_line
from core.transaction import leave_unchanged
from models import IdempotencyKey
from models.base import Entity
from services.accounts.caller import OWNER, Caller, owned
from services.query.lookup import rows_by_id
from services.query.sql import Writer, insert_rows, read, table_of

_PATH = ("input", "idempotencyKey")
_KEYS: Final = table_of(IdempotencyKey)
_FIND: Final = PreparedStatement(
    select(_KEYS.c.operation, _KEYS.c.request_hash, _KEYS.c.result_ids).where(
        owned(_KEYS), _KEYS.c.key == bindparam("key")
    )
)


@dataclass(frozen=True, slots=True)
class IdempotentRequest:
    """The key that a client has sent, and the request as it was sent, without defaults."""

    key: str | None
    operation: str
    content: Any


async def run_idempotent(
    writer: Writer,
    caller: Caller,
    request: IdempotentRequest,
    model: type[Entity],
    create: Callable[[], Awaitable[Sequence[Any]]],
) -> Sequence[Any]:
    """Return what `create` creates, or what it created when the same request came first; the counter's lock is held."""
    if request.key is None:
        return await create()
    key = require_line(request.key, _PATH, max_length=200)
    request_hash = hashlib.sha256(orjson.dumps(request.content, option=orjson.OPT_SORT_KEYS)).hexdigest()
    found = await read(writer, _FIND, {OWNER: caller.user_id, "key": key})
    if not found:
        created = await create()
        new = IdempotencyKey(
            user_id=caller.user_id,
            key=key,
            operation=request.operation,
            request_hash=request_hash,
            result_ids=[row.id for row in created],
        )
        await insert_rows(writer, IdempotencyKey, [new.model_dump()])
        return created
    (first,) = found
    if (first.operation, first.request_hash) != (request.operation, request_hash):
        message = "This idempotencyKey was used for another request; use a new one."
        raise ConflictError(ErrorReason.KEY_REUSED, message, path=_PATH)
    leave_unchanged(writer)
    rows = await rows_by_id(writer, caller, model, first.result_ids, table_of(model).c.keys())
    if None in rows:
        message = "What this idempotencyKey made is deleted since; use a new key to make it again."
        raise NotFoundError(message, path=_PATH)
    return rows
