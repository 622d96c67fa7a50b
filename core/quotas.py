"""Quotas of a user's rows, and the counts of rows that spare most of the counting.

To count a hundred thousand rows for each new one would cost more than to make it. But each transaction that makes rows
increments its user's revision, and makes at most `MAX_NEW_ROWS`. So rows that were counted at a revision tell how many
there can be at any later one, whichever process makes them, and are counted again when those could be too many.
"""

from typing import Final

from core.cache import LRUCache
from core.settings import Settings

# The key in `info` of every transaction.
QUOTAS: Final = "quotas"
# What `undoRun` brings back may be more; another process may then let in as many beyond the quota.
MAX_NEW_ROWS: Final = 100

_MAX_CACHE_BYTES: Final = 1024 * 1024
_ENTRY_BYTES: Final = 400
_MAX_REVISION: Final = (1 << 31) - 1


class Quotas:
    """The most rows that a user may have of each table, and how many they had when they were last counted."""

    def __init__(self, settings: Settings) -> None:
        # The revision of the user's at which rows were last counted, and how many there were.
        self.counted: LRUCache[tuple[str, str], tuple[int, int]] = LRUCache("quotas", max_bytes=_MAX_CACHE_BYTES)
        # Of a table without a setting of its own.
        self._default = settings.max_tasks_per_user
        self._quotas = {
            "conversations": settings.max_conversations_per_user,
            "messages": settings.max_messages_per_user,
            "access_tokens": settings.max_access_tokens_per_user,
        }

    def of(self, table: str) -> int:
        """Return the quota of a table's rows."""
        return self._quotas.get(table, self._default)

    def keep_count(self, user_id: str, table: str, revision: int, rows: int) -> None:
        """Keep how many rows there are at a revision."""
        self.counted.put((user_id, table), (revision, rows), _ENTRY_BYTES)

    def max_revision(self, user_id: str, table: str, new_rows: int = 1) -> int:
        """Return up to which revision of the user's so many new rows fit for certain."""
        revision, rows = self.counted.get((user_id, table)) or (0, 0)
        return min(revision + (self.of(table) - rows - new_rows) // MAX_NEW_ROWS, _MAX_REVISION)
