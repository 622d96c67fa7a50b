"""What is at /: a page to try the API on for a browser, while one develops, and a list of the doors for all others."""

from importlib.metadata import version
from typing import Final

from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

_DOORS: Final = {
    "graphql": "/graphql",
    "rest": "/openapi.json",
    "docs": "/docs",
    "mcp": "/mcp",
    "health": "/health",
    "ready": "/ready",
}


def index_route(*, has_graphiql: bool) -> Route:
    """Return the route of /."""

    async def index(request: Request) -> Response:
        headers = {"cache-control": "no-cache", "vary": "Accept"}
        if has_graphiql and "text/html" in request.headers.get("accept", ""):
            return RedirectResponse("/graphql", headers=headers)
        return JSONResponse({"name": "tasktalk", "version": version("tasktalk"), **_DOORS}, headers=headers)

    return Route("/", index)
