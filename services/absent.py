"""The mark of a field that was not sent, where null means something else."""

from enum import Enum
from typing import Final


class Absent(Enum):
    """A type with one value, so that mypy can tell it from what was sent."""

    ABSENT = "absent"


ABSENT: Final = Absent.ABSENT
