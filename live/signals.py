"""What processes tell each other: who tells, and up to which revision users' rows have changed."""

import secrets
from collections.abc import Mapping
from typing import Final

import orjson

CHANNEL: Final = "tasktalk_changes"
# So much PostgreSQL takes in one: some hundred users, or a few whose ids are the longest that there are.
_MOST_BYTES: Final = 7_999


class Signals:
    """Writes signals and reads them; by its mark it knows its own, of which it has no need."""

    def __init__(self) -> None:
        self._mark = secrets.token_hex(8)

    def write(self, revisions: Mapping[str, int]) -> list[str]:
        """Return the signals for any number of changed users, as few as can be."""
        signal = orjson.dumps([self._mark, revisions])
        if len(signal) <= _MOST_BYTES:
            return [signal.decode()]
        changed = list(revisions.items())
        half = len(changed) // 2
        return self.write(dict(changed[:half])) + self.write(dict(changed[half:]))

    def read(self, text: str | bytes) -> dict[str, int]:
        """Return the changes that another process tells of; nothing where it is this one, or no signal at all."""
        try:
            mark, revisions = orjson.loads(text)
            if mark == self._mark:
                return {}
            return {str(user_id): int(revision) for user_id, revision in revisions.items()}
        except (ValueError, TypeError, AttributeError):
            return {}
