"""Meets posted operations before all layers, and writes along with an answer what these would add to it."""

from starlette.types import Receive, Scope, Send

from core.settings import Settings
from server.answer import Answer
from server.compression import Compression
from server.endpoint import GraphQLEndpoint
from server.errors import Header
from server.head import Head, head_of
from server.request_log import RequestLog, send_with_id
from server.request_record import start_record
from server.response_headers import HEADERS

_Headers = tuple[Header, ...]


class DirectDoor:
    """Serves those requests of the endpoint that need no layer: passing them costs more than many an operation."""

    def __init__(self, endpoint: GraphQLEndpoint, log: RequestLog, settings: Settings, *, has_cors: bool) -> None:
        self._endpoint = endpoint
        self._log = log
        self._gzip_least_bytes = settings.gzip_least_bytes
        self._has_cors = has_cors

    def takes(self, scope: Scope) -> Head | None:
        """Return the head of a request that is one of those: posted, not by another page, and not for events."""
        head = head_of(scope)
        is_of_a_page = self._has_cors and head.has_origin
        return head if scope["method"] == "POST" and not is_of_a_page and not head.takes_events else None

    async def serve(self, head: Head, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, unless its client has gone, and record how it went."""
        record = start_record(scope, head)
        try:
            answer = await self._endpoint.answer(head, head.media_type, scope, receive, record)
            if isinstance(answer, Answer):
                is_compressed = head.takes_gzip and 0 < self._gzip_least_bytes <= len(answer.body)
                answer.headers = _completed(answer.headers, has_cors=self._has_cors)
                app = Compression(answer, self._gzip_least_bytes) if is_compressed else answer
                await app(scope, receive, send_with_id(record, send))
        except Exception as error:  # noqa: BLE001 - whatever it is, the client is told
            await self._log.answer_failure(error, record, send)
        finally:
            self._log.finish(scope, record)


def _completed(headers: _Headers, *, has_cors: bool) -> _Headers:
    """Return the headers with those that the layers add."""
    vary = {b"vary": b", Origin"} if has_cors else {}
    return tuple((name, value + vary.get(name, b"")) for name, value in headers) + HEADERS
