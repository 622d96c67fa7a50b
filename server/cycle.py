"""A request that has come in whole, as uvicorn holds requests, without what is only needed to receive the rest."""

import asyncio
from typing import Any

from uvicorn._types import HTTPScope
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle


class WholeRequest(RequestResponseCycle):
    """uvicorn's, of which only what is the request's own is made anew."""

    disconnected = False
    keep_alive = True
    waiting_for_100_continue = False
    more_body = False
    response_started = False
    response_complete = False
    chunked_encoding = None
    expected_content_length = 0
    made_event: asyncio.Event | None = None

    def __init__(self, connection: HttpToolsProtocol, scope: HTTPScope, body: bytes) -> None:
        self._connection = connection
        self.scope = scope
        # Never added to, so it needs no bytearray.
        self.body = body  # type: ignore[assignment]
        self.on_response = connection.on_response_complete

    def __getattr__(self, name: str) -> Any:
        """Return what is the connection's, such as its transport: few requests need more than the connection does."""
        return getattr(self._connection, name)

    @property
    def default_headers(self) -> list[tuple[bytes, bytes]]:  # type: ignore[override]
        """Return the headers of all answers."""
        return self._connection.server_state.default_headers

    @property
    def message_event(self) -> asyncio.Event:  # type: ignore[override]
        """Return what tells who receives that there is something: few do, for the body is taken at once."""
        if self.made_event is None:
            self.made_event = asyncio.Event()
            if self.body:
                self.made_event.set()
        return self.made_event


def made_event(cycle: RequestResponseCycle) -> asyncio.Event | None:
    """Return the event that tells whoever receives, if there is one yet."""
    return cycle.made_event if type(cycle) is WholeRequest else cycle.message_event
