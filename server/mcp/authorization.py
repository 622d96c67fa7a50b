"""Authorization of MCP: personal access tokens, the scopes of messages, and the metadata of RFC 9728."""

import re
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Scope

from assistant.tools import TOOLS_BY_NAME
from core.database import Database
from core.errors import UnauthenticatedError, UnavailableError
from core.workload import start_workload
from models import AccessScope
from server.http.authentication import read_token
from server.http.headers import get_request_headers
from services.accounts.access_tokens import Grant, find_grant, record_use

PATH: Final = "/mcp"
# The key of the grant in the ASGI scope.
GRANT: Final = "tasktalk.grant"
_READ_METHODS: Final = frozenset({"resources/read", "prompts/get"})
_WELL_KNOWN: Final = "/.well-known/oauth-protected-resource"
_HOST: Final = re.compile(r"[A-Za-z0-9._~:\[\]-]{1,255}")


async def authenticate(credentials: bytes | None, database: Database, *, needs_verified: bool) -> Grant:
    """Return the grant of a personal access token; raise UnauthenticatedError for any other, a session's included."""
    if credentials is None:
        raise UnauthenticatedError("Send a personal access token as `Authorization: Bearer …`.")
    token = read_token(credentials)
    async with database.read() as session:
        grant = await find_grant(session, token, needs_verified=needs_verified)
    if grant is None:
        raise UnauthenticatedError("The access token is not valid, or no longer; make another by createAccessToken.")
    start_workload(user_id=grant.caller.user_id)
    if grant.is_last_use_outdated:
        # The next request records it.
        with suppress(UnavailableError):
            await database.write(partial(record_use, grant=grant))
    return grant


def required_scope(method: str, params: Any) -> AccessScope | None:
    """Return the scope that a message requires, or None; the SDK refuses malformed parameters."""
    if method in _READ_METHODS:
        return AccessScope.TASKS_READ
    name = params.get("name") if method == "tools/call" and isinstance(params, Mapping) else None
    if not isinstance(name, str) or name not in TOOLS_BY_NAME:
        return None
    return AccessScope.TASKS_WRITE if TOOLS_BY_NAME[name].writes else AccessScope.TASKS_READ


def _base_url(scope: Scope) -> str:
    """Return the server's address, up to its path: as it is set, or as the client used it."""
    public_url: str | None = scope["app"].state.runtime.settings.public_url
    if public_url is not None:
        return public_url.rstrip("/")
    host = get_request_headers(scope).values.get(b"host", b"").decode("latin-1")
    if not _HOST.fullmatch(host):
        name, port = scope.get("server") or ("localhost", None)
        host = name if port is None else f"{name}:{port}"
    return f"{scope['scheme']}://{host}"


def challenge(scope: Scope, error: str | None = None, required: AccessScope | None = None) -> bytes:
    """Return the WWW-Authenticate header: the error, the required scopes, and the address of the metadata."""
    scopes = " ".join(AccessScope) if required is None else required.value
    parts = {"error": error, "scope": scopes, "resource_metadata": f"{_base_url(scope)}{_WELL_KNOWN}{PATH}"}
    parameters = ", ".join(f'{name}="{value}"' for name, value in parts.items() if value)
    return f"Bearer {parameters}".encode("latin-1")


async def _metadata(request: Request) -> Response:
    base = _base_url(request.scope)
    return JSONResponse(
        {
            "resource": f"{base}{PATH}",
            # Tokens are made here, by createAccessToken.
            "authorization_servers": [base],
            "scopes_supported": list(AccessScope),
            "bearer_methods_supported": ["header"],
            "resource_name": "Tasktalk",
        }
    )


METADATA_ROUTES: Final = (Route(_WELL_KNOWN, _metadata), Route(f"{_WELL_KNOWN}{PATH}", _metadata))
