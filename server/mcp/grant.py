"""What a program may do here: by the personal access token that it shows, or not at all."""

from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from typing import Any, Final

from starlette.types import Scope

from assistant.tools import TOOLS_BY_NAME
from core.database import Database
from core.errors import UnauthenticatedError, UnavailableError
from models import AccessScope
from server.http.authentication import read_token
from services.accounts.access_tokens import Grant, find_grant, record_use

_KEY: Final = "tasktalk.grant"
_READING: Final = frozenset({"resources/read", "prompts/get"})


async def authenticate(credentials: bytes | None, database: Database) -> Grant:
    """Return what the token allows, or raise UnauthenticatedError; a token of a session is none here."""
    if credentials is None:
        raise UnauthenticatedError("Send a personal access token as `Authorization: Bearer …`.")
    token = read_token(credentials)
    async with database.read() as session:
        grant = await find_grant(session, token)
    if grant is None:
        raise UnauthenticatedError("The access token is not valid, or no longer; make another by createAccessToken.")
    if grant.is_last_use_outdated:
        # Whoever comes next notes it.
        with suppress(UnavailableError):
            await database.write(partial(record_use, grant=grant))
    return grant


def keep_grant(scope: Scope, grant: Grant) -> None:
    """Let those who serve the request know what it is allowed."""
    scope[_KEY] = grant


def grant_of(scope: Scope) -> Grant:
    """Return what the request is allowed."""
    grant: Grant = scope[_KEY]
    return grant


def needed_scope(method: str, params: Any) -> AccessScope | None:
    """Return the scope that a message needs, if it needs one; parameters that are malformed are refused by others."""
    if method in _READING:
        return AccessScope.TASKS_READ
    name = params.get("name") if method == "tools/call" and isinstance(params, Mapping) else None
    if not isinstance(name, str) or name not in TOOLS_BY_NAME:
        return None
    return AccessScope.TASKS_WRITE if TOOLS_BY_NAME[name].writes else AccessScope.TASKS_READ
