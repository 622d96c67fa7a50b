"""What was seen before, so that only what comes again is kept."""

from typing import Final

_PLACES: Final = 4096


class Sightings:
    """Tells what is seen again, in memory that never grows: it forgets, and is mistaken where hashes are the same."""

    def __init__(self) -> None:
        self._hashes = [0] * _PLACES

    def has_seen(self, data: bytes) -> bool:
        """Tell whether the data were seen before, and take note of them."""
        data_hash = hash(data)
        place = data_hash % _PLACES
        if self._hashes[place] == data_hash:
            return True
        self._hashes[place] = data_hash
        return False
