"""The endpoint's door for sockets: who may knock, and in which language."""

import asyncio
from typing import Final

from starlette.types import Receive, Scope, Send

from server.connection import get_abort
from server.origins import is_welcome
from server.socket import Socket
from server.socket_protocol import PROTOCOL, CloseCode, close_message
from server.streaming import Streaming

# Longer than the server waits for the other half of a closing.
_LINGERING_S: Final = 12.0


class Sockets:
    """Serves every socket of the endpoint."""

    def __init__(self, streaming: Streaming) -> None:
        self._streaming = streaming

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one socket."""
        await receive()
        if not is_welcome(scope, self._streaming.settings):
            # Closed before it is accepted, its handshake is answered with 403.
            await send({"type": "websocket.close"})
        elif PROTOCOL not in scope["subprotocols"]:
            await send({"type": "websocket.accept"})
            await send(close_message(CloseCode.SUBPROTOCOL_NOT_ACCEPTABLE, f"Speak {PROTOCOL}."))
        else:
            await self._serve(scope, receive, send)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        cut = get_abort(scope)
        try:
            await Socket(scope, receive, send, self._streaming, cut).serve()
        finally:
            # Whoever does not read would keep what is still to be sent in our memory.
            asyncio.get_running_loop().call_later(_LINGERING_S, cut)
