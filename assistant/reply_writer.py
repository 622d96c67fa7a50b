"""Stores a reply's text while it is written: nobody is shown what is not in the database."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Final

from core.database import Database
from core.errors import UnavailableError
from live.hub import Hub, WakeUp
from services.accounts.caller import Caller
from services.runs.progress import RunEndedError, write_reply

_MAX_REPLY_LENGTH: Final = 100_000
_STORE_EVERY_S: Final = 0.1
_PARAGRAPH: Final = "\n\n"
_UNSTORABLE: Final = {0: "\N{REPLACEMENT CHARACTER}"} | dict.fromkeys(
    range(0xD800, 0xE000), "\N{REPLACEMENT CHARACTER}"
)

_log = logging.getLogger(__name__)


class ReplyTooLongError(Exception):
    """The reply has become longer than a message can be."""


class ReplyWriter:
    """Collects a reply's text and stores it ten times a second; calls `on_end` where the run has ended elsewhere."""

    def __init__(
        self, database: Database, replies: Hub, caller: Caller, reply_id: str, on_end: Callable[[], None]
    ) -> None:
        self.text = ""
        self._database = database
        self._replies = replies
        self._caller = caller
        self._reply_id = reply_id
        self._on_end = on_end
        self._stored = ""
        self._has_unstored = asyncio.Event()
        self._closing = asyncio.Event()

    def resume(self, text: str) -> None:
        """Continue the text that was stored before a pause."""
        self.text = self._stored = text

    def add(self, delta: str) -> None:
        """Append the next piece of the text."""
        self.text += delta.translate(_UNSTORABLE)
        if len(self.text) > _MAX_REPLY_LENGTH:
            self.text = self.text[:_MAX_REPLY_LENGTH]
            raise ReplyTooLongError
        self._has_unstored.set()

    def begin_paragraph(self) -> None:
        """Separate what follows from what was written before a tool was called."""
        if self.text and not self.text.endswith(_PARAGRAPH):
            self.add(_PARAGRAPH)

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[None]:
        """Store the text while the context is open; its last piece is left to the transaction that ends the run."""
        storing = asyncio.create_task(self._store_repeatedly())
        try:
            yield
        finally:
            # Not cancelled: a statement that is cut off costs its connection.
            self._closing.set()
            self._has_unstored.set()
            await storing

    async def _store_repeatedly(self) -> None:
        while True:
            await self._has_unstored.wait()
            self._has_unstored.clear()
            if self._closing.is_set():
                return
            try:
                await self._store()
            except RunEndedError:
                self._on_end()
                return
            except UnavailableError as error:
                _log.warning("A reply's text could not be stored just now: %s", error)
                self._has_unstored.set()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._closing.wait(), _STORE_EVERY_S)

    async def _store(self) -> None:
        text = self.text
        if text == self._stored:
            return
        await self._database.write(partial(write_reply, caller=self._caller, reply_id=self._reply_id, text=text))
        self._stored = text
        self._replies.wake({self._reply_id: len(text)}, WakeUp.LOCAL)
