"""Heads that were read before, by their bytes: clients and proxies send the same one again and again.

No request may be read otherwise than by the parser, or who stands before us could take for one request what we take
for two. So a head is only known once the parser has read it: standing between two messages it was given a head and a
body in one piece, and found in them one whole request, after which the connection goes on. What the parser makes of
bytes depends on nothing but the bytes since it last stood so. And where the body ends depends on the head alone:
it has one Content-Length, in digits, and no Transfer-Encoding. Given these bytes again, standing so again, and just as
many behind them, it could only find the same.

Tokens are part of heads: nothing of them may be logged or shown.
"""

from collections import OrderedDict
from typing import Any, Final

from starlette.types import Scope

from server.head import HEAD, Head
from server.sightings import Sightings

_PATH: Final = "/graphql"
_BLANK_LINE: Final = b"\r\n\r\n"
_MOST_KEPT: Final = 512
_MOST_HEAD_BYTES: Final = 4 * 1024
# A header that is read takes far more than the few bytes that it can have.
_MOST_LINES: Final = 64
_MOST_BODY_BYTES: Final = 64 * 1024
_OWN_PARTS: Final = ("http_version", "method", "path", "query_string", "raw_path")
# With each of these, more than the head decides how the connection goes on.
_UNFIT: Final = frozenset({b"expect", b"trailer", b"transfer-encoding", b"upgrade"})


class KnownHead:
    """What the parser has read of a head."""

    __slots__ = ("head_bytes", "headers", "request_bytes", "scope")

    def __init__(self, scope: Scope, head_bytes: int, request_bytes: int) -> None:
        self.head_bytes = head_bytes
        self.request_bytes = request_bytes
        self.headers = tuple(scope["headers"])
        self.scope: dict[str, Any] = {part: scope[part] for part in _OWN_PARTS} | {HEAD: Head(self.headers)}


class KnownHeads:
    """The heads that were sent last."""

    def __init__(self) -> None:
        self._known: OrderedDict[bytes, KnownHead] = OrderedDict()
        self._sightings = Sightings()

    def recall(self, data: bytes) -> KnownHead | None:
        """Return the known head of a request that the data are, from the first byte to the last."""
        # Three bytes where there is no blank line, which are no head that is known.
        head = data[: data.find(_BLANK_LINE) + len(_BLANK_LINE)]
        known = self._known.get(head)
        if known is None or len(data) != known.request_bytes:
            return None
        self._known.move_to_end(head)
        return known

    def learn(self, data: bytes, scope: Scope, body: bytes) -> None:
        """Keep the head of the data, in which the parser has found just this request, where it is sent again."""
        head = data[: data.find(_BLANK_LINE) + len(_BLANK_LINE)]
        if not self._sightings.has_seen(head) or len(head) > _MOST_HEAD_BYTES:
            return
        if not _is_fit(head, scope) or data != head + body:
            return
        if not 0 < len(body) == int(dict(scope["headers"])[b"content-length"]) <= _MOST_BODY_BYTES:
            return
        self._known[head] = KnownHead(scope, len(head), len(data))
        if len(self._known) > _MOST_KEPT:
            self._known.popitem(last=False)


def _is_fit(head: bytes, scope: Scope) -> bool:
    """Tell whether the head is one of a posted operation, a line for each header, that decides its body's length."""
    names = [name for name, _ in scope["headers"]]
    lengths = [value for name, value in scope["headers"] if name == b"content-length"]
    lines = head.count(b"\r\n")
    return (
        head.endswith(_BLANK_LINE)
        and (scope["method"], scope["path"], scope["http_version"]) == ("POST", _PATH, "1.1")
        and len(names) + 2 == lines == head.count(b"\r") == head.count(b"\n")
        and lines <= _MOST_LINES
        and len(lengths) == 1
        and lengths[0].isdigit()
        and _UNFIT.isdisjoint(names)
    )


known_heads: Final = KnownHeads()
