"""Reads the caller from what a client sends as its credentials."""

import re
from typing import Final

from core.errors import UnauthenticatedError
from graph.context import Runtime
from services.caller import Caller

_BEARER: Final = re.compile(rb"bearer +([!-~]+) *", re.IGNORECASE)


async def authenticate(credentials: bytes | None, runtime: Runtime) -> Caller | None:
    """Return the caller, None for an anonymous one; raise UnauthenticatedError for anything that is no good token."""
    return None if credentials is None else await runtime.authenticator.authenticate(read_token(credentials))


def read_token(credentials: bytes) -> str:
    """Return the token that the Authorization header holds; nothing of it is trusted yet."""
    match = _BEARER.fullmatch(credentials)
    if match is None:
        raise UnauthenticatedError("The Authorization must be `Bearer` and an access token.")
    return match[1].decode("ascii")
