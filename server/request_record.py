"""What is known of a request when it ends, gathered on its way for the log and the metrics."""

import secrets
import time
from collections.abc import Iterator
from contextvars import ContextVar
from enum import StrEnum
from typing import Final

from starlette.types import Scope

from core.statement_count import StatementCount, current_statements
from server.head import Head

_KEY: Final = "tasktalk.record"
_ID_LENGTH: Final = 32
_IDS_AT_ONCE: Final = 64


class Outcome(StrEnum):
    """How a GraphQL operation ended."""

    OK = "ok"
    ERRORS = "errors"
    REFUSED = "refused"


class RequestRecord:
    """One request; its status is 0 until it is answered."""

    status = 0
    user_id: str | None = None
    operation: str | None = None
    outcome: Outcome | None = None

    def __init__(self, request_id: str) -> None:
        self.request_id = request_id
        self.statements = StatementCount()
        self.began_s = time.perf_counter()


# What is logged on the way of a request carries its id.
current_request_id: ContextVar[str | None] = ContextVar("current_request_id", default=None)


def start_record(scope: Scope, head: Head) -> RequestRecord:
    """Begin the record of a request, under the id that its sender gave it where that is a sane one."""
    record = scope[_KEY] = RequestRecord(head.sent_id or next(_random_ids))
    current_request_id.set(record.request_id)
    current_statements.set(record.statements)
    return record


def record_of(scope: Scope) -> RequestRecord:
    """Return the record that was begun for the request."""
    record: RequestRecord = scope[_KEY]
    return record


def _make_random_ids() -> Iterator[str]:
    """Give one id after the other; asking the kernel for each would cost more than the rest of its record."""
    while True:
        digits = secrets.token_hex(_IDS_AT_ONCE * _ID_LENGTH // 2)
        for start in range(0, len(digits), _ID_LENGTH):
            yield digits[start : start + _ID_LENGTH]


_random_ids: Final = _make_random_ids()
