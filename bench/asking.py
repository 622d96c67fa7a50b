"""A request that is sent to a server, and the error that ends everything."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


class BenchError(Exception):
    """The measurement cannot go on; the message says why, and what to do."""


@dataclass(frozen=True, slots=True)
class Request:
    """What is posted, and in whose name."""

    token: str
    body: Mapping[str, Any]
