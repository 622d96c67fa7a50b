"""Dependencies that give REST routes their context, and the security scheme of the OpenAPI description."""

from typing import Annotated, Any, Final

from fastapi import Depends, Security
from fastapi.openapi.models import OAuth2, OAuthFlowPassword, OAuthFlows
from fastapi.security.base import SecurityBase
from starlette.requests import Request

from graph.context import Context, Runtime
from server.http.authentication import authenticate
from services.accounts.caller import Caller

# The key of the context in the ASGI scope.
CONTEXT: Final = "tasktalk.context"
_LOGIN: Final = "/api/auth/login"


class _SignedIn(SecurityBase):
    """Security scheme of routes that need a caller; anonymous requests are refused before they get here."""

    def __init__(self) -> None:
        flow = OAuthFlowPassword(tokenUrl=_LOGIN, scopes={})
        self.model = OAuth2(flows=OAuthFlows(password=flow), description="Sign in with your email address.")
        self.scheme_name = "Account"

    async def __call__(self, request: Request) -> Context:
        return _context(request)


def _context(request: Request) -> Context:
    context: Context = request.scope[CONTEXT]
    return context


async def _anyone(request: Request) -> Context:
    return _context(request)


SIGNED_IN: Final[Any] = _SignedIn()
SignedIn = Annotated[Context, Security(SIGNED_IN)]
Anyone = Annotated[Context, Depends(_anyone)]


async def read_caller(request: Request, runtime: Runtime) -> Caller | None:
    """Return the caller, or None without credentials; raise UnauthenticatedError for anything but a valid token."""
    credentials = dict(request.scope["headers"]).get(b"authorization")
    # OAuth 2 clients authenticate themselves like this at the token endpoint; ours needs no client credentials.
    if credentials is not None and request.scope["path"] == _LOGIN and credentials[:6].lower() == b"basic ":
        credentials = None
    return await authenticate(credentials, runtime)
