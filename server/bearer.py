"""Reads the caller from what a client sends as its credentials."""

import re
from typing import Final

from core.errors import UnauthenticatedError
from graph.context import Runtime
from server.head import usual_token
from services.accounts.caller import Caller

# Just the word is matched in either case: a token so would take five times as long.
_BEARER: Final = re.compile(rb"(?i:bearer) +([!-~]+) *")


async def authenticate(credentials: bytes | None, runtime: Runtime) -> Caller | None:
    """Return the caller, None for an anonymous one; raise UnauthenticatedError for anything that is no good token."""
    if credentials is None:
        return None
    token = usual_token(credentials)
    caller = None if token is None else runtime.authenticator.recall(token)
    return caller if caller is not None else await runtime.authenticator.authenticate(read_token(credentials))


def read_token(credentials: bytes) -> str:
    """Return the token that the Authorization header holds; nothing of it is trusted yet."""
    match = _BEARER.fullmatch(credentials)
    if match is None:
        raise UnauthenticatedError("The Authorization must be `Bearer` and an access token.")
    return match[1].decode("ascii")
