"""Who asks, as the routes are given it, and as the description of the API says one signs in."""

from typing import Annotated, Any, Final

from fastapi import Depends, Security
from fastapi.openapi.models import OAuth2, OAuthFlowPassword, OAuthFlows
from fastapi.security.base import SecurityBase
from starlette.requests import Request

from graph.context import Context, Runtime
from server.http.authentication import authenticate
from services.accounts.caller import Caller

# Where a request keeps what its route is given.
CONTEXT: Final = "tasktalk.context"
_LOGIN: Final = "/api/auth/login"


class _SignedIn(SecurityBase):
    """The account that an access token speaks for; who has none has been refused before."""

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
    """Return the caller, None for an anonymous one; raise UnauthenticatedError for anything that is no good token."""
    credentials = dict(request.scope["headers"]).get(b"authorization")
    # A client of OAuth 2 names itself so when it asks for a token; there is nothing to know of it.
    if credentials is not None and request.scope["path"] == _LOGIN and credentials[:6].lower() == b"basic ":
        credentials = None
    return await authenticate(credentials, runtime)
