"""The server's processes: the listening socket, uvicorn's configuration, the workers."""

import asyncio
import errno
import gc
import math
import os
import socket
import sys
from contextlib import ExitStack
from datetime import timedelta
from functools import partial
from tempfile import TemporaryDirectory
from typing import Final

import uvicorn

from core.settings import Settings
from core.tokens import AccessTokens
from core.trusted_issuer import trusted_issuer
from server.cli.database import check_file, database_address, migrate
from server.cli.errors import CommandError
from server.http.connection_limits import ConnectionLimits
from server.http.protocol import bounded_protocols, notice_lost_clients
from server.observability.logs import log_config
from server.observability.metrics import FOLDER_VARIABLE
from server.workers import STARTUP_FAILED, Workers
from services.accounts.rate_limit import AccountRateLimits

_BACKLOG: Final = 256
# uvloop accepts one connection of a socket in each turn of the event loop: too few where a turn takes long.
_ACCEPTED_AT_ONCE: Final = 16
_GC_THRESHOLD: Final = 20_000
_EVERY_ADDRESS: Final = {"", "0.0.0.0", "::"}  # noqa: S104 - recognised here, not bound to


def greeting(settings: Settings, host: str, port: int) -> str:
    """Return the lines printed at the start; the first has the address of GraphQL."""
    name = "127.0.0.1" if host in _EVERY_ADDRESS else f"[{host}]" if ":" in host else host
    address = f"http://{name}:{port}"
    offline = "the offline model; set OPENAI_API_KEY for another"
    return (
        f"{'GraphQL' if settings.is_production else 'GraphiQL'} at {address}/graphql\n"
        f"REST at {address}/docs\n"
        f"MCP at {address}/mcp\n"
        f"Database: {database_address(settings)}\n"
        f"Assistant: {settings.assistant_model if settings.has_provider else offline}"
    )


def serve(settings: Settings, *, host: str, port: int, workers: int) -> None:
    """Serve until a signal says to stop; with several workers each is a process."""
    with ExitStack() as stack:
        listener = stack.enter_context(_listen(host, port))
        check(settings)
        check_file(settings)
        if not settings.is_production:
            asyncio.run(migrate(settings))
        if workers > 1:
            # The workers share their metrics in files, which must not be those of an earlier run.
            folder = stack.enter_context(TemporaryDirectory(prefix="tasktalk-metrics-"))
            os.environ[FOLDER_VARIABLE] = folder
        config = _configuration(settings)
        _collect_garbage_rarely()
        print(greeting(settings, host, listener.getsockname()[1]), flush=True)
        work = partial(_run, config, listener)
        if workers == 1:
            work()
        elif not Workers(work, workers).run():
            sys.exit(STARTUP_FAILED)


def _configuration(settings: Settings) -> uvicorn.Config:
    # What counts looks for the folder of metrics when it is loaded.
    from server.app import create_app  # noqa: PLC0415

    return uvicorn.Config(
        # Called by each process for itself: nothing that it makes can be shared.
        partial(create_app, settings),
        factory=True,
        lifespan="on",
        access_log=False,
        server_header=False,
        log_config=log_config(settings),
        # The notice of graceful_shutdown has taken a second of it.
        timeout_graceful_shutdown=max(1, math.floor(settings.shutdown_grace_s) - 1),
        # Without a named proxy, uvicorn would trust X-Forwarded-For of any process of this machine.
        proxy_headers=bool(os.environ.get("FORWARDED_ALLOW_IPS")),
        # What waits to be accepted is as old as what it waits for; a longer queue would only be answered too late.
        backlog=_BACKLOG,
        **bounded_protocols(_connection_limits(settings)),
        ws_max_size=settings.graphql_max_body_bytes,
        # Each socket would keep a third of a megabyte for compressing a few bytes.
        ws_per_message_deflate=False,
    )


def _connection_limits(settings: Settings) -> ConnectionLimits:
    proxies = frozenset(filter(None, map(str.strip, os.environ.get("FORWARDED_ALLOW_IPS", "").split(","))))
    return ConnectionLimits(settings.max_connections, settings.max_connections_per_address, proxies)


def _collect_garbage_rarely() -> None:
    """Keep the garbage collector away from what is loaded, which stays for good and which workers share."""
    gc.collect()
    gc.freeze()
    # A response of some hundred rows would trigger collections, and none of it is ever in a cycle.
    gc.set_threshold(_GC_THRESHOLD)
    gc.enable()


def check(settings: Settings) -> None:
    """Raise SettingsError for settings that only their users can validate, before anything is served."""
    AccountRateLimits(settings)
    lifetime = timedelta(minutes=settings.access_token_expire_minutes)
    AccessTokens(settings.secret_key, lifetime, settings.secret_key_previous)
    trusted_issuer(settings)
    if settings.trusted_documents is not None:
        from server.graphql.execution import Operations  # noqa: PLC0415 - as above
        from server.graphql.schema import schema  # noqa: PLC0415

        Operations(schema, settings)


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family)
    except OSError as error:
        reason = (error.strerror or str(error)).split(" (")[0]
        choice = "choose another with --host or API_HOST"
        if error.errno == errno.EADDRINUSE:
            choice = "stop what listens there, or choose another with --port or API_PORT"
        elif error.errno == errno.EACCES:
            choice = "choose one from 1024 on with --port or API_PORT"
        raise CommandError(f"cannot listen on {host}:{port}: {reason}; {choice}") from error
    notice_lost_clients(listener)
    # Its duplicates take that over, and it holds in all processes: one that blocks in accepting answers nobody.
    listener.settimeout(0)
    return listener


def _run(config: uvicorn.Config, listener: socket.socket) -> None:
    server = uvicorn.Server(config)
    try:
        server.run(sockets=[listener, *(listener.dup() for _ in range(_ACCEPTED_AT_ONCE - 1))])
    except KeyboardInterrupt:
        return
    if not server.started:
        sys.exit(STARTUP_FAILED)
