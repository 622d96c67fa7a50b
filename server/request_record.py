"""What is known of a request when it ends, gathered on its way for the log and the metrics."""

import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from starlette.types import Scope

_KEY: Final = "tasktalk.record"
_HEADER: Final = b"x-request-id"
_SANE_ID: Final = re.compile(rb"[0-9A-Za-z][0-9A-Za-z._-]{0,63}")


class Outcome(StrEnum):
    """How a GraphQL operation ended."""

    OK = "ok"
    ERRORS = "errors"
    REFUSED = "refused"


@dataclass(slots=True)
class RequestRecord:
    """One request."""

    request_id: str
    user_id: str | None = None
    operation: str | None = None
    outcome: Outcome | None = None


def start_record(scope: Scope) -> RequestRecord:
    """Begin the record of a request, under the id that its sender gave it where that is a sane one."""
    record = RequestRecord(_sent_id(scope["headers"]) or secrets.token_hex(16))
    scope[_KEY] = record
    return record


def record_of(scope: Scope) -> RequestRecord:
    """Return the record that was begun for the request."""
    record: RequestRecord = scope[_KEY]
    return record


def _sent_id(headers: Iterable[tuple[bytes, bytes]]) -> str | None:
    for name, value in headers:
        if name == _HEADER:
            return value.decode("ascii") if _SANE_ID.fullmatch(value) else None
    return None
