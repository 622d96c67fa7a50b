"""Pages for browsers: the built ones and their files under a content security policy, and what is at /."""

import os
import secrets
from importlib.metadata import version
from pathlib import Path
from typing import Final

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

# Named here because the system's own table, which Starlette asks, may lack them or be wrong.
_MEDIA_TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".ttf": "font/ttf",
    ".woff2": "font/woff2",
}

# Monaco, GraphiQL and Swagger UI write style elements and carry some fonts and icons as data addresses.
_BUILT_POLICY: Final = (
    "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self' data:; "
    "object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_CDN_POLICY: Final = (
    "default-src 'none'; script-src 'nonce-{nonce}'; style-src https://unpkg.com 'unsafe-inline'; "
    "img-src data:; font-src data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


class Page:
    """The page that was built in a folder or, where there is none, one that loads the same from a CDN."""

    def __init__(self, dist: Path, cdn_page: str) -> None:
        index = dist / "index.html"
        self._cdn_page = cdn_page
        self._built_page = index.read_text(encoding="utf-8") if index.is_file() else None

    @property
    def is_built(self) -> bool:
        """Return whether the page was built."""
        return self._built_page is not None

    def answer(self) -> Response:
        """Return the page, under its policy."""
        if self._built_page is not None:
            return _html(self._built_page, _BUILT_POLICY)
        nonce = secrets.token_urlsafe(16)
        return _html(self._cdn_page.replace("{nonce}", nonce), _CDN_POLICY.replace("{nonce}", nonce))


def _html(page: str, policy: str) -> Response:
    headers = {
        "cache-control": "no-cache",
        "content-security-policy": policy,
        "referrer-policy": "no-referrer",
        "vary": "Accept",
        "x-content-type-options": "nosniff",
        "x-frame-options": "DENY",
    }
    return HTMLResponse(page, headers=headers)


class HashedFiles(StaticFiles):
    """Files whose names change with their content, so that a browser never needs to ask for one again."""

    def file_response(
        self,
        full_path: str | os.PathLike[str],
        stat_result: os.stat_result,
        scope: Scope,
        status_code: int = 200,
    ) -> Response:
        """Return the file."""
        response = super().file_response(full_path, stat_result, scope, status_code)
        response.headers["cache-control"] = "public, max-age=31536000, immutable"
        response.headers["x-content-type-options"] = "nosniff"
        # A worker lives under the policy of its own file, not under that of the page.
        response.headers["content-security-policy"] = _BUILT_POLICY
        media_type = _MEDIA_TYPES.get(Path(full_path).suffix)
        if media_type is not None and "content-type" in response.headers:
            response.headers["content-type"] = media_type
        return response


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
