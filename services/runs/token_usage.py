"""What users' runs have used of the model, day by day, and the limit on it."""

from datetime import UTC, datetime, time, timedelta
from typing import Final

from sqlalchemy import insert, select, update
from sqlmodel.ext.asyncio.session import AsyncSession

from core.clock import utc_now
from core.errors import RateLimitedError
from models import TokenUsage
from services.accounts.caller import Caller
from services.query.sql import execute, table_of

_USAGE: Final = table_of(TokenUsage)


async def require_tokens(session: AsyncSession, caller: Caller, most: int) -> None:
    """Refuse a new run where the user has used up the tokens of the day; 0 is no limit."""
    if not most:
        return
    now = utc_now()
    columns = _USAGE.c.input_tokens + _USAGE.c.output_tokens
    statement = select(columns).where(caller.owns(_USAGE), _USAGE.c.day == now.date())
    used = (await execute(session, statement)).scalar() or 0
    if used >= most:
        resets_at = datetime.combine(now.date() + timedelta(days=1), time(), UTC)
        text = f"You have used today's {most:,} tokens of the assistant; it answers again at {resets_at.isoformat()}."
        raise RateLimitedError(text, retry_at=resets_at)


async def add_tokens(session: AsyncSession, caller: Caller, input_tokens: int, output_tokens: int) -> None:
    """Count tokens as used today; the owner's counter is held, so that nobody else counts meanwhile."""
    day = utc_now().date()
    more = update(_USAGE).where(caller.owns(_USAGE), _USAGE.c.day == day)
    counted = await execute(
        session,
        more.values(
            input_tokens=_USAGE.c.input_tokens + input_tokens, output_tokens=_USAGE.c.output_tokens + output_tokens
        ),
    )
    if not counted.rowcount:
        first = {"user_id": caller.user_id, "day": day, "input_tokens": input_tokens, "output_tokens": output_tokens}
        await execute(session, insert(_USAGE), first)
