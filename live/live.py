"""Live updates of one process: wakes waiting subscribers by commits, the broker's signals, and a poll."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Final

from sqlalchemy import select

from core.database import Database
from core.database_url import parse_database_url
from core.errors import UnavailableError
from core.prepared_statement import PreparedStatement
from core.settings import Settings
from live.broker import SESSIONS_CHANGED, Broker
from live.hub import Hub, WakeUp
from live.shared_reads import SharedReads
from models import User
from services.query.filters import IsAnyOf, text_list_param
from services.query.sql import table_of

_SEND_EVERY_S: Final = 0.01
_USERS: Final = table_of(User)
_REVISIONS: Final = PreparedStatement(
    select(_USERS.c.id, _USERS.c.revision).where(IsAnyOf(_USERS.c.id, text_list_param("ids")))
)

_log = logging.getLogger(__name__)


class Live:
    """Wakes at once for this process's commits, by signals for those of others, and by the poll in every case."""

    def __init__(self, database: Database, settings: Settings, observe: Callable[[WakeUp], None]) -> None:
        self.hub = Hub(observe)
        # By message: woken when more of a reply has been stored.
        self.replies = Hub(observe)
        self.shared_reads = SharedReads()
        self.max_followers_per_user = settings.max_subscriptions_per_user
        self._database = database
        self._settings = settings
        self._broker = self._make_broker()
        # Called with each user whose sessions or rights another process has changed.
        self.on_sessions_changed: list[Callable[[str], None]] = []
        self._unsent: dict[str, int] = {}
        self._unsent_sessions: set[str] = set()
        self._has_unsent = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        database.after_commit.append(self._after_commit)

    def _make_broker(self) -> Broker | None:
        if self._settings.broker_url is not None:
            from live.redis import RedisBroker  # noqa: PLC0415 - loaded only where it is set up

            return RedisBroker(self._settings.broker_url, self.hub, self._sessions_changed)
        if self._database.is_sqlite or not self._settings.database_listen:
            return None
        from live.postgres import PostgresBroker  # noqa: PLC0415 - as above

        url = self._settings.database_direct_url or self._settings.database_url
        return PostgresBroker(self._database, parse_database_url(url), self.hub, self._sessions_changed)

    def start(self) -> None:
        """Start polling, receiving and sending."""
        self._tasks.append(asyncio.create_task(self._poll_repeatedly()))
        if self._broker is not None:
            self._tasks.append(asyncio.create_task(self._broker.run()))
            self._tasks.append(asyncio.create_task(self._send_signals(self._broker)))

    async def close(self) -> None:
        """Stop all of it."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._broker is not None:
            await self._broker.close()

    @property
    def is_told(self) -> bool:
        """Return whether other processes' signals are known to arrive at present."""
        return self._broker is not None and self._broker.is_reliable

    def _after_commit(self, revisions: Mapping[str, int]) -> None:
        self.hub.wake(revisions, WakeUp.LOCAL)
        if self._broker is not None:
            self._unsent.update(revisions)
            self._has_unsent.set()

    def tell_sessions_changed(self, user_id: str) -> None:
        """Tell the other processes that a user's sessions or rights have changed."""
        if self._broker is not None:
            self._unsent_sessions.add(user_id)
            self._has_unsent.set()

    def _sessions_changed(self, user_id: str) -> None:
        for listener in self.on_sessions_changed:
            listener(user_id)

    async def _send_signals(self, broker: Broker) -> None:
        """Send signals in batches: what gathers while one is sent goes with the next."""
        while True:
            await self._has_unsent.wait()
            self._has_unsent.clear()
            revisions, self._unsent = self._unsent, {}
            sessions, self._unsent_sessions = dict.fromkeys(self._unsent_sessions, SESSIONS_CHANGED), set()
            signals = [text for each in (revisions, sessions) if each for text in broker.signals.write(each)]
            try:
                await broker.send(signals)
            except Exception as error:  # noqa: BLE001 - a hint that is lost does no harm
                _log.warning("Other processes were not told: %s", str(error) or type(error).__name__)
            # The first change is sent at once; of many that follow each other, each would cost as much as itself.
            await asyncio.sleep(_SEND_EVERY_S)

    async def _poll_repeatedly(self) -> None:
        """Wake the users that have changed, by one statement; where a signal was missed, let the broker be checked."""
        is_failing = False
        while True:
            is_told = self.is_told
            await self.hub.wait_for_poll(self._settings.poll_when_told_s if is_told else self._settings.poll_s)
            try:
                users = self.hub.users
                rows = await self._database.reader.fetch(_REVISIONS, {"ids": users}) if users else []
                has_missed_signal = self.hub.wake({row.id: row.revision for row in rows}, WakeUp.POLL)
            except Exception as error:  # noqa: BLE001 - without the poll nothing would ever be noticed again
                # Logged once, not four times a second.
                if not is_failing:
                    _log.warning("The poll fails: %s", error, exc_info=not isinstance(error, UnavailableError))
                is_failing = True
                continue
            is_failing = False
            if has_missed_signal and is_told and self._broker is not None:
                self._broker.check()
