"""The application factory: endpoints, middleware, and what lives as long as the process."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final, cast

import strawberry
from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from assistant.assistant import Assistant
from core.database import Database
from core.passwords import Passwords
from core.prepared_statement import STATEMENTS
from core.settings import Settings, load_settings
from graph.context import Runtime
from live.live import Live
from server.graphql.endpoint import GraphQLEndpoint
from server.graphql.execution import Operations
from server.graphql.schema import schema as product_schema
from server.graphql.sockets import serve_socket
from server.graphql.streaming import Streaming
from server.http.connections import ConnectionRegistry
from server.http.cors import CrossOrigin
from server.http.email_pages import LINK_ROUTES
from server.http.headers import MEDIA_TYPES, get_request_headers
from server.http.origins import allows_local_origins
from server.http.overload import Overload
from server.http.pages import Page, graphiql_page, index_route
from server.lifecycle import lifespan
from server.mcp import authorization as mcp_authorization
from server.mcp.endpoint import McpEndpoint
from server.observability.health import Readiness, health, ready
from server.observability.logs import configure_logs, request_lines
from server.observability.metrics import Metrics
from server.observability.request_log import RequestLogMiddleware
from server.rest import api as rest
from services.accounts.accounts import Accounts
from services.accounts.authentication import Authenticator
from services.accounts.emails import Emails
from services.accounts.rate_limit import AccountRateLimits, CostRateLimit
from services.query.ordering import ORDERS

_PAGES: Final = Path(__file__).parent.parent / "web" / "dist"
_PATH: Final = "/graphql"
_GZIP_LEVEL: Final = 5


def create_app(settings: Settings | None = None, schema: strawberry.Schema = product_schema) -> FastAPI:
    """Return the application; settings that are not given are read from the environment."""
    settings = settings or load_settings()
    configure_logs(settings)
    metrics = Metrics()
    runtime = _make_runtime(settings, metrics)
    connections = ConnectionRegistry(runtime.database, settings.max_sockets_per_user)
    runtime.authenticator.on_invalidate += [connections.check_user, runtime.live.tell_sessions_changed]
    runtime.live.on_sessions_changed += [runtime.authenticator.drop, connections.check_user]
    operations = Operations(schema, settings)
    metrics.watch_caches(
        *operations.caches,
        STATEMENTS,
        ORDERS,
        MEDIA_TYPES,
        runtime.database.quotas.counted,
        *runtime.authenticator.caches,
    )
    streaming = Streaming(operations, connections, settings, metrics.streams)
    mcp = McpEndpoint(runtime)
    overload = Overload(lambda: runtime.database.pool.is_full)
    graphiql = None if settings.is_production else graphiql_page(_PAGES)
    app = _Application(
        title="Tasktalk",
        lifespan=partial(lifespan, runtime, streaming, mcp, metrics),
        openapi_url=None,
        redirect_slashes=False,
        exception_handlers={HTTPException: _answer_http_error},
    )
    app.state.runtime, app.state.connections = runtime, connections
    app.state.readiness, app.state.overload = Readiness(runtime.database, settings), overload
    app.router.routes += _routes(settings, metrics, mcp, graphiql)
    rest.add_rest(app, _PAGES)
    log = partial(RequestLogMiddleware, observe=metrics.observe, write_line=request_lines(settings), overload=overload)
    wrap = partial(_wrap, settings=settings, log=log)
    app.graphql = wrap(GraphQLEndpoint(streaming, runtime, graphiql))
    app.socket = partial(serve_socket, streaming)
    app.add_middleware(wrap)
    return app


def _routes(settings: Settings, metrics: Metrics, mcp: McpEndpoint, graphiql: Page | None) -> list[BaseRoute]:
    return [
        index_route(has_graphiql=graphiql is not None),
        Route("/health", health),
        Route("/ready", ready),
        Route("/metrics", metrics.serve),
        Route(mcp_authorization.PATH, mcp),
        *mcp_authorization.METADATA_ROUTES,
        *(graphiql.assets if graphiql else ()),
        *(LINK_ROUTES if settings.app_url is None else ()),
    ]


class _Application(FastAPI):
    """FastAPI, with GraphQL served beside its middleware and router, which would cost more than some operations."""

    graphql: ASGIApp
    socket: ASGIApp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope.get("path") == _PATH:
            scope["app"] = self
            await (self.socket if scope["type"] == "websocket" else self.graphql)(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)


class _Compression(GZipMiddleware):
    """Starlette's GZipMiddleware, bypassed for clients that do not accept gzip."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        asked = scope["type"] == "http" and get_request_headers(scope).accepts_gzip
        await (super().__call__ if asked else self.app)(scope, receive, send)


def _wrap(app: ASGIApp, settings: Settings, log: Callable[[ASGIApp], ASGIApp]) -> ASGIApp:
    """Wrap an application into the middleware that all requests pass: log, security headers, CORS, compression."""
    if settings.gzip_least_bytes:
        app = _Compression(app, minimum_size=settings.gzip_least_bytes, compresslevel=_GZIP_LEVEL)
    if settings.allowed_origins or allows_local_origins(settings):
        app = CrossOrigin(app, settings)
    return log(app)


def _make_runtime(settings: Settings, metrics: Metrics) -> Runtime:
    database = Database(settings)
    metrics.watch_pool(database.pool, settings)
    authenticator = Authenticator(database, settings)
    passwords = Passwords()
    accounts = Accounts(database, settings, passwords, authenticator, AccountRateLimits(settings))
    emails = Emails(database, passwords, authenticator, accounts)
    live = Live(database, settings, metrics.streams.count_wake_up)
    assistant = Assistant(database, settings, live)
    cost_limit = CostRateLimit.of(settings)
    return Runtime(settings, database, passwords, authenticator, accounts, emails, live, assistant, cost_limit)


async def _answer_http_error(request: Request, error: Exception) -> Response:
    """Answer HTTP errors of the router in the format of all other errors."""
    error = cast("HTTPException", error)
    if request.scope["path"].startswith(rest.PREFIX):
        return rest.answer_http_error(request, error)
    status, message = error.status_code, error.detail
    code = {401: "UNAUTHENTICATED", 404: "NOT_FOUND", 405: "METHOD_NOT_ALLOWED"}.get(status, "BAD_USER_INPUT")
    if status == 404:  # noqa: PLR2004
        message = "There is nothing at this path; GET / lists what there is."
    return JSONResponse({"errors": [{"message": message, "extensions": {"code": code}}]}, status, error.headers)
