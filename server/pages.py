"""Pages for browsers: the built ones and their files, under a policy that names where anything may come from."""

import os
from pathlib import Path
from typing import Final

from starlette.responses import HTMLResponse, Response
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
BUILT_POLICY: Final = (
    "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self' data:; "
    "object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
CDN_POLICY: Final = (
    "default-src 'none'; script-src 'nonce-{nonce}'; style-src https://unpkg.com 'unsafe-inline'; "
    "img-src data:; font-src data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def built_page(dist: Path) -> str | None:
    """Return the page that was built in the folder, if there is one."""
    index = dist / "index.html"
    return index.read_text(encoding="utf-8") if index.is_file() else None


def html(page: str, policy: str) -> Response:
    """Return a page under a policy."""
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
        response.headers["content-security-policy"] = BUILT_POLICY
        media_type = _MEDIA_TYPES.get(Path(full_path).suffix)
        if media_type is not None and "content-type" in response.headers:
            response.headers["content-type"] = media_type
        return response
