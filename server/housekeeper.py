"""Does the housekeeping while the server runs: once after its start, then every few hours."""

import asyncio
import logging
import random
from typing import Final

from core.database import Database
from core.errors import UnavailableError
from core.settings import Settings
from services.sync.housekeeping import forget_deletions, forget_history, forget_keys, forget_sessions

# Workers that start together should not do the same work at the same moment.
_AFTER_START_S: Final = (30.0, 300.0)
_EVERY_S: Final = 6 * 3600.0

_log = logging.getLogger(__name__)


async def keep_house(database: Database, settings: Settings) -> None:
    """Clear away what has had its time, until cancelled."""
    await asyncio.sleep(random.uniform(*_AFTER_START_S))  # noqa: S311 - no secret
    while True:
        try:
            await clear_away(database, settings)
        except UnavailableError as error:
            _log.warning("The housekeeping found no database: %s", error)
        except Exception:  # noqa: BLE001 - the next round may do better
            _log.exception("The housekeeping failed")
        await asyncio.sleep(_EVERY_S)


async def clear_away(database: Database, settings: Settings) -> None:
    """Clear everything away once, each kind in a transaction of its own."""
    await database.write(lambda session: forget_deletions(session, settings.tombstones_kept_days))
    await database.write(lambda session: forget_history(session, settings.tombstones_kept_days))
    await database.write(forget_keys)
    await database.write(forget_sessions)
