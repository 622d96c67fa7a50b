"""One socket of the GraphQL endpoint, which speaks graphql-transport-ws."""

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from datetime import timedelta
from typing import Any, Final

import structlog
from starlette.types import Receive, Scope, Send

from core.clock import call_at, utc_now
from core.errors import UnauthenticatedError, UnavailableError
from graph.context import Context, Runtime
from server.bearer import authenticate
from server.errors import FormattedError, RefusedError, session_over, token_expired
from server.presence import TooManyConnectionsError
from server.request_body import GraphQLRequest
from server.socket_protocol import (
    PROTOCOL,
    CloseCode,
    CloseSocketError,
    close_message,
    credentials_in,
    error_message,
    id_in,
    read_message,
    request_in,
    text_message,
)
from server.streaming import Streaming
from services.accounts.caller import Caller

# A client that reads has the last words by then; one that does not is cut off.
LAST_WORDS_S: Final = 2.0

_log = structlog.stdlib.get_logger("socket")


class Socket:
    """Serves one client until either side goes."""

    def __init__(
        self, scope: Scope, receive: Receive, send: Send, streaming: Streaming, cut: Callable[[], None]
    ) -> None:
        self.caller: Caller | None = None
        self._runtime: Runtime = scope["app"].state.runtime
        self._credentials: bytes | None = dict(scope["headers"]).get(b"authorization")
        self._address: str = (scope.get("client") or ("",))[0]
        self._receive = receive
        self._asgi_send = send
        self._cut = cut
        # One at a time: all who waited would write at once when there is room for one.
        self._turn = asyncio.Lock()
        self._streaming = streaming
        self._settings = streaming.settings
        self._id = secrets.token_hex(16)
        self._is_initialised = False
        self._is_present = False
        self._operations: dict[str, asyncio.Task[None]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._closing: asyncio.Task[None] | None = None

    async def serve(self) -> None:
        """Accept the socket and answer its messages until it is closed."""
        await self._asgi_send({"type": "websocket.accept", "subprotocol": PROTOCOL})
        self._await_initialisation()
        try:
            with self._streaming.metrics.socket():
                while (message := await self._receive())["type"] == "websocket.receive":
                    if self._closing is None:
                        await self._answer(message)
        except CloseSocketError as error:
            await self._close(error.code, str(error))
        except Exception:  # noqa: BLE001 - the client is told to come again
            _log.exception("socket failed", request_id=self._id)
            await self._close(CloseCode.INTERNAL_ERROR, "Something went wrong on our side.")
        finally:
            self._leave()

    def _leave(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        for task in self._operations.values():
            task.cancel()
        if self._is_present:
            self._streaming.presence.leave(self)

    async def _answer(self, message: Any) -> None:
        kind, content = read_message(message)
        handle = self._handlers.get(kind)
        if handle is None:
            raise CloseSocketError(CloseCode.BAD_REQUEST, f"There is no message type {kind[:50]!r}.")
        await handle(self, content)

    async def _initialise(self, content: dict[str, Any]) -> None:
        if self._is_initialised:
            raise CloseSocketError(CloseCode.TOO_MANY, "Too many initialisation requests.")
        self._is_initialised = True
        credentials = credentials_in(content)
        self.caller = await self._authenticate(self._credentials if credentials is None else credentials)
        try:
            self._streaming.presence.enter(self)
        except TooManyConnectionsError as error:
            raise CloseSocketError(CloseCode.TOO_MANY, str(error)) from None
        self._is_present = True
        self._watch_expiry()
        await self._send({"type": "connection_ack"})

    async def _authenticate(self, credentials: bytes | None) -> Caller | None:
        try:
            return await authenticate(credentials, self._runtime)
        except UnavailableError as error:
            raise CloseSocketError(CloseCode.TRY_AGAIN_LATER, error.message) from None
        except UnauthenticatedError as error:
            raise CloseSocketError(CloseCode.FORBIDDEN, error.message) from None

    async def _ping(self, content: dict[str, Any]) -> None:
        """Answer a ping; a fresh token in it keeps the socket open beyond the old one's end."""
        if (credentials := credentials_in(content)) is not None:
            caller = await self._authenticate(credentials)
            if self.caller is None or caller is None or caller.user_id != self.caller.user_id:
                raise CloseSocketError(CloseCode.FORBIDDEN, "The fresh token is another user's.")
            self.caller = caller
            self._watch_expiry()
        await self._send({"type": "pong"})

    async def _pong(self, _content: dict[str, Any]) -> None:
        pass

    async def _subscribe(self, content: dict[str, Any]) -> None:
        if not self._is_present:
            raise CloseSocketError(CloseCode.UNAUTHORIZED, "Unauthorized: send connection_init first.")
        operation_id = id_in(content)
        if operation_id in self._operations:
            raise CloseSocketError(CloseCode.SUBSCRIBER_EXISTS, f"Subscriber for {operation_id[:50]} already exists.")
        request = request_in(content)
        if len(self._operations) >= self._settings.max_operations_per_socket:
            await self._refuse(operation_id, self._settings.max_operations_per_socket)
            return
        self._operations[operation_id] = asyncio.create_task(self._run(operation_id, request))

    async def _refuse(self, operation_id: str, limit: int) -> None:
        message = f"A socket runs at most {limit} operations at once; complete another one first."
        error = {"message": message, "extensions": {"code": "TOO_MANY_OPERATIONS", "limit": limit}}
        await self._send(error_message(operation_id, [error]))

    async def _complete(self, content: dict[str, Any]) -> None:
        if (task := self._operations.pop(id_in(content), None)) is not None:
            task.cancel()

    async def _run(self, operation_id: str, request: GraphQLRequest) -> None:
        """Send what an operation gives, one result after another: the next is made when the last is sent."""
        context = Context(self._runtime, self.caller, self._id, self._address)
        try:
            async with aclosing(self._streaming.results(request, context)) as results:
                async for result in results:
                    await self._send({"type": "next", "id": operation_id, "payload": result})
            await self._finish(operation_id, {"type": "complete", "id": operation_id})
        except RefusedError as refusal:
            await self._finish(operation_id, error_message(operation_id, list(refusal.errors)))
        except CloseSocketError as error:
            self._close_soon(error.code, str(error))

    async def _finish(self, operation_id: str, message: dict[str, Any]) -> None:
        # The id is free again once the client hears of the end.
        self._operations.pop(operation_id, None)
        await self._send(message)

    async def _send(self, message: dict[str, Any]) -> None:
        try:
            async with self._turn, asyncio.timeout(self._settings.socket_send_timeout_s):
                await self._asgi_send(text_message(message))
        except TimeoutError:
            raise CloseSocketError(CloseCode.TRY_AGAIN_LATER, "Read faster; resume by the last cursor.") from None
        except (OSError, RuntimeError):
            # The socket is closed; the loop that receives hears of it by itself.
            return

    def _watch_expiry(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self.caller is not None:
            self._timer = call_at(self.caller.expires_at, lambda: self._end_operations(token_expired()))

    def _await_initialisation(self) -> None:
        latest = utc_now() + timedelta(seconds=self._settings.connection_init_timeout_s)
        code, reason = CloseCode.INITIALISATION_TIMEOUT, "Connection initialisation timeout."
        self._timer = call_at(latest, lambda: self._close_soon(code, reason))

    def sign_out(self) -> None:
        """End the operations and the socket: the session is over."""
        self._end_operations(session_over())

    def _end_operations(self, error: FormattedError) -> None:
        self._close_soon(CloseCode.FORBIDDEN, error["message"], [error])

    def go_away(self) -> None:
        """End the socket: the server stops, and another takes over."""
        self._close_soon(CloseCode.SERVICE_RESTART, "The server restarts; connect again.")

    def _close_soon(self, code: CloseCode, reason: str, errors: list[FormattedError] | None = None) -> None:
        if self._closing is None:
            self._closing = asyncio.create_task(self._close(code, reason, errors))

    async def _close(self, code: CloseCode, reason: str, errors: list[FormattedError] | None = None) -> None:
        running, self._operations = self._operations, {}
        for task in running.values():
            task.cancel()
        _log.info("socket closed", code=code.value, reason=reason, request_id=self._id)
        try:
            async with asyncio.timeout(LAST_WORDS_S):
                for operation_id in running if errors else ():
                    await self._asgi_send(text_message(error_message(operation_id, errors or [])))
                await self._asgi_send(close_message(code, reason))
        except TimeoutError:
            self._cut()
        except (OSError, RuntimeError):
            # The client was faster.
            return

    _handlers: Final[dict[str, Callable[["Socket", dict[str, Any]], Awaitable[None]]]] = {
        "connection_init": _initialise,
        "ping": _ping,
        "pong": _pong,
        "subscribe": _subscribe,
        "complete": _complete,
    }
