"""Bearer authentication: the caller of an Authorization header."""

import re
from typing import Final

from core.errors import UnauthenticatedError
from graph.context import Runtime
from services.accounts.caller import Caller

# Only the scheme is case-insensitive; matching all of it so would take five times as long.
_BEARER: Final = re.compile(rb"(?i:bearer) +([!-~]+) *")


async def authenticate(credentials: bytes | None, runtime: Runtime) -> Caller | None:
    """Return the caller, or None without credentials; raise UnauthenticatedError for anything but a valid token."""
    if credentials is None:
        return None
    return await runtime.authenticator.authenticate(read_token(credentials))


def read_token(credentials: bytes) -> str:
    """Return the token in an Authorization header; it is not verified yet."""
    match = _BEARER.fullmatch(credentials)
    if match is None:
        raise UnauthenticatedError("The Authorization must be `Bearer` and an access token.")
    return match[1].decode("ascii")
