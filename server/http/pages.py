"""Pages for browsers, with their files and content security policies, and the index of endpoints at /."""

import os
import secrets
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

# Named here because the system's own table, which Starlette reads, may lack them or be wrong.
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
_ENDPOINTS: Final = {
    "graphql": "/graphql",
    "rest": "/openapi.json",
    "docs": "/docs",
    "mcp": "/mcp",
    "health": "/health",
    "ready": "/ready",
}


class Page:
    """A page for browsers: the one built in `dist` or, where there is none, one that loads the same from a CDN.

    `assets` are the routes of the files that the built page loads, below `path`.
    """

    def __init__(self, path: str, dist: Path, cdn_file: str) -> None:
        index = dist / "index.html"
        self._built_page = index.read_text(encoding="utf-8") if index.is_file() else None
        self._cdn_page = (Path(__file__).parent / cdn_file).read_text(encoding="utf-8")
        files = HashedFiles(directory=dist / "assets", check_dir=False)
        self.assets = [Mount(f"{path}/assets", files)] if self._built_page else []

    def response(self) -> Response:
        """Return the page with its content security policy."""
        page, policy = self._built_page, _BUILT_POLICY
        if page is None:
            nonce = secrets.token_urlsafe(16)
            page, policy = (text.replace("{nonce}", nonce) for text in (self._cdn_page, _CDN_POLICY))
        headers = {"cache-control": "no-cache", "content-security-policy": policy, "vary": "Accept"}
        return HTMLResponse(page, headers=headers)


def graphiql_page(dist: Path) -> Page:
    """Return GraphiQL, which answers a browser's GET /graphql in development."""
    return Page("/graphiql", dist, "graphiql_cdn.html")


def docs_page(dist: Path) -> Page:
    """Return Swagger UI, the page of the REST API."""
    return Page("/docs", dist / "docs", "docs_cdn.html")


class HashedFiles(StaticFiles):
    """Files whose names change with their content, cached by browsers for good."""

    def file_response(self, full_path: str | os.PathLike[str], *arguments: Any) -> Response:
        """Return the file."""
        response = super().file_response(full_path, *arguments)
        response.headers["cache-control"] = "public, max-age=31536000, immutable"
        # A worker lives under the policy of its own file, not under that of the page.
        response.headers["content-security-policy"] = _BUILT_POLICY
        media_type = _MEDIA_TYPES.get(Path(full_path).suffix)
        if media_type is not None and "content-type" in response.headers:
            response.headers["content-type"] = media_type
        return response


def index_route(*, has_graphiql: bool) -> Route:
    """Return the route of /."""

    async def index(request: Request) -> Response:
        headers = {"cache-control": "no-cache", "vary": "Accept"}
        if has_graphiql and "text/html" in request.headers.get("accept", ""):
            return RedirectResponse("/graphql", headers=headers)
        return JSONResponse({"name": "tasktalk", "version": version("tasktalk"), **_ENDPOINTS}, headers=headers)

    return Route("/", index)
