"""Clocks: a process whose clock is wrong ends no run of another's, and keeps none for too long."""

from datetime import UTC, datetime, timedelta, tzinfo

import pytest
from sqlalchemy import select

from core.clock import utc_now
from core.database import Database
from core.errors import RateLimitedError
from core.settings import Settings
from models import Run, RunStatus
from services.accounts.rate_limit import AccountRateLimits
from services.query.sql import execute, table_of
from services.runs.progress import expired_runs, fail_expired, renew_leases
from tests.databases import only_postgresql, opened
from tests.factories import SignedIn, answered_rows, make_conversation, store_answered

RUNS = table_of(Run)
LEASE = timedelta(seconds=30)


@only_postgresql
@pytest.mark.parametrize("ahead", [timedelta(hours=1), timedelta(hours=-1)], ids=["ahead", "behind"])
async def test_leases_are_by_the_databases_clock(
    database: Database, user: SignedIn, monkeypatch: pytest.MonkeyPatch, ahead: timedelta
) -> None:
    talk = await make_conversation(database, user.caller)
    answered = answered_rows(user, talk.id, status=RunStatus.RUNNING, lease_until=utc_now() + LEASE)
    await store_answered(database, answered)
    key = user.user.id, answered.run.id
    for module in ("services.query.sql", "services.runs.progress"):
        monkeypatch.setattr(f"{module}.utc_now", lambda: utc_now() + ahead)
    async with database.read() as session:
        assert key not in {tuple(row) for row in await expired_runs(session)}
    await database.write(lambda session: fail_expired(session, user.caller, answered.run.id, "It died."))
    assert await database.write(lambda session: renew_leases(session, [key], LEASE)) == {key}
    async with database.read() as session:
        own = RUNS.c.id == answered.run.id
        row = (await execute(session, select(RUNS.c.status, RUNS.c.lease_until).where(own))).one()
        assert row.status is RunStatus.RUNNING
        assert abs(row.lease_until - (utc_now() + LEASE)) < timedelta(minutes=1)
        await database.write(lambda writing: renew_leases(writing, [key], -LEASE))
        assert key in {tuple(row) for row in await expired_runs(session)}


@only_postgresql
@pytest.mark.parametrize("ahead", [timedelta(hours=1), timedelta(hours=-1)], ids=["ahead", "behind"])
async def test_wrong_clock_is_corrected_by_the_databases(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, ahead: timedelta
) -> None:
    """Else tokens would end too early, or too late."""

    class WrongClock(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
            return datetime.now(tz) + ahead

    monkeypatch.setattr("core.clock._Correction.value", timedelta(0))
    monkeypatch.setattr("core.clock.datetime", WrongClock)
    assert abs(utc_now() - datetime.now(UTC) - ahead) < timedelta(minutes=1)
    async with opened(settings) as database, database.read() as session:
        await session.connection()
    assert abs(utc_now() - datetime.now(UTC)) < timedelta(minutes=1)


@pytest.mark.parametrize("ahead", [timedelta(hours=1), timedelta(hours=-1)], ids=["ahead", "behind"])
async def test_rate_limit_tells_when_to_try_again_by_the_corrected_clock(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, ahead: timedelta
) -> None:
    monkeypatch.setattr("core.clock._Correction.value", ahead)
    limits = AccountRateLimits(settings.model_copy(update={"sign_ups_per_address": 1}))
    await limits.count_sign_up("192.0.2.1")
    with pytest.raises(RateLimitedError) as refused:
        await limits.count_sign_up("192.0.2.1")
    left = refused.value.retry_at - utc_now()
    assert timedelta(minutes=59) < left <= timedelta(hours=1)
