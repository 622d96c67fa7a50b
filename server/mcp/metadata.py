"""What tells programs how this door is protected: the metadata of RFC 9728, and the challenges that name it."""

import re
from typing import Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Scope

from models import AccessScope

PATH: Final = "/mcp"
_WELL_KNOWN: Final = "/.well-known/oauth-protected-resource"
_HOST: Final = re.compile(r"[A-Za-z0-9._~:\[\]-]{1,255}")


def base_url(scope: Scope) -> str:
    """Return the address that the client used, up to its path."""
    host = dict(scope["headers"]).get(b"host", b"").decode("latin-1")
    if not _HOST.fullmatch(host):
        name, port = scope.get("server") or ("localhost", None)
        host = name if port is None else f"{name}:{port}"
    return f"{scope['scheme']}://{host}"


def challenge(scope: Scope, error: str | None = None, needed: AccessScope | None = None) -> bytes:
    """Return a WWW-Authenticate that says what is wrong, what is needed, and where to read more."""
    scopes = " ".join(AccessScope) if needed is None else needed.value
    parts = {"error": error, "scope": scopes, "resource_metadata": f"{base_url(scope)}{_WELL_KNOWN}{PATH}"}
    said = ", ".join(f'{name}="{value}"' for name, value in parts.items() if value)
    return f"Bearer {said}".encode("latin-1")


async def _metadata(request: Request) -> Response:
    base = base_url(request.scope)
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
