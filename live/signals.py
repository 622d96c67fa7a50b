"""What processes tell each other: who tells, and up to which revision users' rows have changed."""

import secrets
from collections.abc import Iterator, Mapping
from typing import Final

import orjson

CHANNEL: Final = "tasktalk_changes"
# PostgreSQL takes 7,999 bytes; an id has at most 255 characters, of up to six bytes each in JSON.
_MOST_USERS: Final = 5


class Signals:
    """Writes signals and reads them; by its mark it knows its own, of which it has no need."""

    def __init__(self) -> None:
        self._mark = secrets.token_hex(8)

    def write(self, revisions: Mapping[str, int]) -> list[str]:
        """Return the signals for any number of changed users."""
        return [orjson.dumps([self._mark, part]).decode() for part in _parts(revisions)]

    def read(self, text: str | bytes) -> dict[str, int]:
        """Return the changes that another process tells of; nothing where it is this one, or no signal at all."""
        try:
            mark, revisions = orjson.loads(text)
            told = {str(user_id): int(revision) for user_id, revision in revisions.items()}
        except (ValueError, TypeError, AttributeError):
            return {}
        return {} if mark == self._mark else told


def _parts(revisions: Mapping[str, int]) -> Iterator[dict[str, int]]:
    changed = list(revisions.items())
    for start in range(0, len(changed), _MOST_USERS):
        yield dict(changed[start : start + _MOST_USERS])
