"""A clock that a test moves on, so that tokens last exactly as long as they have to."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import pytest

from core.clock import utc_now


@dataclass(eq=False)
class Alarm:
    """What is to be done at a moment."""

    moment: datetime
    work: Callable[[], object]
    is_off: bool = False

    def cancel(self) -> None:
        """Leave it undone."""
        self.is_off = True


@dataclass
class MovableClock:
    """The clock of tokens and sockets: it goes on as ever, and further ahead whenever the test says so."""

    ahead: timedelta = timedelta(0)
    alarms: list[Alarm] = field(default_factory=list)

    def utc_now(self) -> datetime:
        return utc_now() + self.ahead

    def call_at(self, moment: datetime, work: Callable[[], object]) -> Alarm:
        alarm = Alarm(moment, work)
        self.alarms.append(alarm)
        return alarm

    def move_on(self, by: timedelta) -> None:
        """Move on, and do what is due by then."""
        self.ahead += by
        due = [alarm for alarm in self.alarms if alarm.moment <= self.utc_now()]
        self.alarms = [alarm for alarm in self.alarms if alarm not in due]
        for alarm in due:
            if not alarm.is_off:
                alarm.work()

    @classmethod
    def put_in(cls, monkeypatch: pytest.MonkeyPatch) -> "MovableClock":
        """Put one in the place of the real one."""
        clock = cls()
        accounts = ("authentication", "outbox", "sessions")
        services = (f"services.accounts.{name}" for name in accounts)
        for module in ("core.tokens", *services, "services.query.sql", "server.graphql.sockets"):
            monkeypatch.setattr(f"{module}.utc_now", clock.utc_now)
        for module in ("server.graphql.sockets", "server.http.event_stream"):
            monkeypatch.setattr(f"{module}.call_at", clock.call_at)
        return clock
