"""The page of the REST API: the build in web/dist/docs or, where there is none, Swagger UI from a CDN."""

from pathlib import Path
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route

from server.http.pages import HashedFiles, Page


class Docs:
    """`routes` serve the page and the files that it loads."""

    def __init__(self, dist: Path) -> None:
        self._page = Page(dist, _CDN_PAGE)
        self.routes: list[BaseRoute] = [Route("/docs", self._answer)]
        if self._page.is_built:
            self.routes.append(Mount("/docs/assets", HashedFiles(directory=dist / "assets"), name="docs"))

    async def _answer(self, _request: Request) -> Response:
        return self._page.answer()


_CDN_PAGE: Final = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Tasktalk REST</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" crossorigin href="https://unpkg.com/swagger-ui-dist@5.35.0/swagger-ui.css"
  integrity="sha384-WlYgdmXYOOBWL5apwjDEZwN+U3HmXSSu5R6V5aGxEcf7z+KuRNwBhoxKVN1i3D5I">
</head>
<body>
<div id="docs">Loading Swagger UI from unpkg.com. Without a network: npm ci &amp;&amp; npm run build in web/.</div>
<script nonce="{nonce}" crossorigin src="https://unpkg.com/swagger-ui-dist@5.35.0/swagger-ui-bundle.js"
  integrity="sha384-gjRm0bEPMeTmMh5jT2cHccIwCUZSTd8YC+j0d0sXw0MdGEfScduGpSyF3ZSSLkX9"></script>
<script nonce="{nonce}">
SwaggerUIBundle({
  dom_id: "#docs",
  url: "/openapi.json",
  deepLinking: true,
  displayRequestDuration: true,
  filter: true,
  persistAuthorization: true,
  tryItOutEnabled: true,
  validatorUrl: null,
});
</script>
</body>
</html>
"""
