"""Queries that were posted before, by their bodies: what is sent again needs not be read and looked up again.

Mutations are left out: few are sent twice. So are requests that give a document its name, which has to happen each
time. What is kept was read without failure, and nothing that executes changes it.
"""

from collections import OrderedDict
from typing import Final, NamedTuple

from graphql import OperationType

from server.documents import PreparedDocument, PreparedOperation
from server.request_body import GraphQLRequest
from server.sightings import Sightings

_LONGEST_BODY_BYTES: Final = 4 * 1024
_MOST_KEPT_BYTES: Final = 32_000_000
# The most that the values take which a byte of JSON can stand for. The document counts each time, as if none shared it.
_BYTES_A_BYTE: Final = 50


class KnownQuery(NamedTuple):
    """What a body was read as."""

    request: GraphQLRequest
    operation: PreparedOperation
    size_bytes: int


class KnownQueries:
    """The queries that were posted last."""

    def __init__(self) -> None:
        self._known: OrderedDict[bytes, KnownQuery] = OrderedDict()
        self._known_bytes = 0
        self._sightings = Sightings()

    def recall(self, body: bytes) -> KnownQuery | None:
        """Return what the body was read as before."""
        known = self._known.get(body)
        if known is not None:
            self._known.move_to_end(body)
        return known

    def keep(
        self, body: bytes, request: GraphQLRequest, operation: PreparedOperation, document: PreparedDocument
    ) -> None:
        """Keep what a body was read as, where that may come again."""
        is_to_be_named = request.reference is not None and bool(request.query)
        if operation.type is not OperationType.QUERY or is_to_be_named or len(body) > _LONGEST_BODY_BYTES:
            return
        if not self._sightings.has_seen(body) or body in self._known:
            return
        size_bytes = document.size_bytes + len(body) * _BYTES_A_BYTE
        self._known[body] = KnownQuery(request, operation, size_bytes)
        self._known_bytes += size_bytes
        while self._known_bytes > _MOST_KEPT_BYTES:
            _, oldest = self._known.popitem(last=False)
            self._known_bytes -= oldest.size_bytes
