"""Bearer authentication: the caller of an Authorization header, and the context of a request."""

import re
from typing import Final

from starlette.types import Scope

from core.errors import UnauthenticatedError
from graph.context import Context, Runtime
from server.http.headers import get_request_headers
from services.accounts.caller import Caller

# Only the scheme is case-insensitive; matching all of it so would take five times as long.
_BEARER: Final = re.compile(rb"(?i:bearer) +([!-~]+) *")


async def authenticate(credentials: bytes | None, runtime: Runtime) -> Caller | None:
    """Return the caller, or None without credentials; raise UnauthenticatedError for anything but a valid token."""
    if credentials is None:
        return None
    return await runtime.authenticator.authenticate(read_token(credentials))


async def open_context(scope: Scope, runtime: Runtime, credentials: bytes | None, request_id: str) -> Context:
    """Return the context of a request; with a token that is refused, that of a stranger, which remembers why."""
    caller = token_error = None
    try:
        caller = await authenticate(credentials, runtime)
    except UnauthenticatedError as error:
        token_error = error
    return Context(runtime, caller, request_id, client_address(scope), user_agent(scope), token_error)


def client_address(scope: Scope) -> str:
    """Return the address of the client, empty where the server does not know it."""
    return (scope.get("client") or ("",))[0]


def user_agent(scope: Scope) -> str:
    """Return what the client says that it is."""
    return get_request_headers(scope).values.get(b"user-agent", b"").decode("latin-1")


def read_token(credentials: bytes) -> str:
    """Return the token in an Authorization header; it is not verified yet."""
    match = _BEARER.fullmatch(credentials)
    if match is None:
        raise UnauthenticatedError("The Authorization must be `Bearer` and an access token.")
    return match[1].decode("ascii")
