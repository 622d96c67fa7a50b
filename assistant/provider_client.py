"""The HTTP client that asks the provider: it reads no answer without end."""

from collections.abc import AsyncIterator
from typing import Any, Final

import httpx2
from openai import DefaultAsyncHttpxClient

from assistant.reply_writer import ReplyTooLongError

# Each word of an answer comes in some hundred bytes of its own.
_MOST_BYTES: Final = 32 * 1024 * 1024


class ProviderClient(DefaultAsyncHttpxClient):
    """The provider's library's own client, but for the bound."""

    async def send(self, *arguments: Any, **options: Any) -> httpx2.Response:
        """Send a request and return the answer, which breaks off where it becomes too long."""
        response = await super().send(*arguments, **options)
        if isinstance(response.stream, httpx2.AsyncByteStream) and not response.is_stream_consumed:
            response.stream = _Bounded(response.stream)
        return response


class _Bounded(httpx2.AsyncByteStream):
    def __init__(self, stream: httpx2.AsyncByteStream) -> None:
        self._stream = stream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        room = _MOST_BYTES
        async for piece in self._stream:
            room -= len(piece)
            if room < 0:
                raise ReplyTooLongError
            yield piece

    async def aclose(self) -> None:
        await self._stream.aclose()
