"""Reads a GraphQL request: its body within a bound, or its query string, as typed parameters."""

from collections import Counter
from collections.abc import Mapping
from types import NoneType
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qsl

import orjson
from starlette.requests import ClientDisconnect
from starlette.types import Message, Receive

from core.errors import UnavailableError
from core.workload import current_workload
from server.http.disconnect import TimeLimit
from server.http.errors import RefusedError, refuse
from server.http.headers import is_of_type

BODY_TIMEOUT_S: Final = 30.0
# Each value is coerced in Python, before authorization.
MAX_VALUES: Final = 10_000
MAX_JSON_VALUES: Final = 50_000
MAX_OPEN_BYTES: Final = 64 * 1024 * 1024
# One client, a user or the address of a stranger, may hold so much of it.
_MAX_SHARE: Final = 1 / 4
_MAX_PARAMETERS: Final = 32
_MAX_CONTENT_TYPE_BYTES: Final = 200
_JSON: Final = "application/json"
_TYPES: Final = (
    ("query", str, "a string"),
    ("documentId", str, "a string or null"),
    ("operationName", str, "a string or null"),
    ("variables", dict, "an object or null"),
    ("extensions", dict, "an object or null"),
)
_Headers = Mapping[bytes, bytes]


class PersistedQuery(NamedTuple):
    """What a document is called in Apollo's protocol, as it was sent."""

    version: object
    sha256_hash: object


class GraphQLRequest(NamedTuple):
    """The parameters of a request, each of the type that the specification asks for.

    With a `reference`, a `documentId` or a hash, to a document that the server knows, `query` may be empty.
    """

    query: str
    operation_name: str | None
    variables: dict[str, Any]
    reference: str | PersistedQuery | None = None
    method: str = "POST"


async def read_json_request(headers: _Headers, receive: Receive, max_bytes: int) -> GraphQLRequest:
    """Read the parameters from a JSON body; raise the refusal of one that is too large or not well formed."""
    body = await read_body(headers, receive, max_bytes)
    if not body:
        raise refuse(400, "The body is empty; send a JSON object with a `query`.")
    parameters = parse_json(body)
    if isinstance(parameters, list):
        raise refuse(400, "Batches are not supported; send each operation as a request of its own.")
    if not isinstance(parameters, dict):
        raise refuse(400, "The body must be a JSON object with a `query`.")
    return read_parameters(parameters, may_be_many=body.count(b",") >= MAX_VALUES)


def read_query_string(query_string: bytes) -> GraphQLRequest:
    """Read the parameters of a GET request; `variables` and `extensions` are JSON there."""
    try:
        pairs = parse_qsl(
            query_string.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=_MAX_PARAMETERS
        )
    except ValueError:
        raise refuse(400, "The query string is not valid UTF-8, or has too many parameters.") from None
    parameters: dict[str, Any] = dict(pairs)
    for name in ("variables", "extensions"):
        if text := parameters.pop(name, None):
            parameters[name] = parse_json(text, f"The parameter `{name}`")
    return read_parameters(parameters)._replace(method="GET")


class OpenBodies:
    """How many bytes of bodies that have not arrived whole this process holds, in all and by whose work they are."""

    held_bytes = 0
    held_by: Final = Counter[str]()

    @classmethod
    def hold(cls, key: str, size: int) -> None:
        """Count more bytes as held; raise UnavailableError where they are too many."""
        cls.held_bytes += size
        cls.held_by[key] += size
        if cls.held_bytes > MAX_OPEN_BYTES or cls.held_by[key] > MAX_OPEN_BYTES * _MAX_SHARE:
            raise UnavailableError("The server receives too much at once. Try again shortly.")

    @classmethod
    def release(cls, key: str, size: int) -> None:
        """Count bytes as held no longer."""
        cls.held_bytes -= size
        cls.held_by[key] -= size
        if not cls.held_by[key]:
            del cls.held_by[key]


def has_no_body(headers: _Headers) -> bool:
    """Return whether a request says that nothing follows its headers."""
    return headers.get(b"content-length", b"0") == b"0" and b"transfer-encoding" not in headers


async def read_body(headers: _Headers, receive: Receive, max_bytes: int, media_type: str = _JSON) -> bytes:
    """Return the body; refuse one of another type, and one that is larger than the bound before it is read whole."""
    if headers.get(b"content-encoding", b"identity").strip().lower() != b"identity":
        raise refuse(415, "The body must not be compressed; send it without Content-Encoding.")
    if not is_of_type(headers.get(b"content-type", b"")[:_MAX_CONTENT_TYPE_BYTES], media_type):
        raise refuse(415, f"The Content-Type must be {media_type}, in UTF-8.")
    # Python reads no number of very many digits, and zeros may be as many as one likes.
    content_length = headers.get(b"content-length", b"").lstrip(b"0")
    if content_length.isdigit() and int(content_length) > max_bytes:
        raise _too_large(max_bytes)
    workload = current_workload.get()
    key = "" if workload is None else workload.key
    chunks, size, has_more = list[bytes](), 0, True
    try:
        with TimeLimit(BODY_TIMEOUT_S):
            while has_more and size <= max_bytes:
                message = await receive()
                if message["type"] != "http.request":
                    raise ClientDisconnect
                chunk, has_more = message.get("body", b""), message.get("more_body", False)
                chunks.append(chunk)
                size += len(chunk)
                OpenBodies.hold(key, len(chunk))
    except TimeoutError:
        raise refuse(408, f"The body did not arrive within {BODY_TIMEOUT_S:.0f} seconds.") from None
    finally:
        OpenBodies.release(key, size)
    if size > max_bytes:
        raise _too_large(max_bytes)
    return b"".join(chunks)


def _too_large(max_bytes: int) -> RefusedError:
    return refuse(413, f"The body is larger than {max_bytes} bytes.")


def replaying(body: bytes, receive: Receive) -> Receive:
    """Return a receive function that gives a body that was read once more."""
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> Message:
        return messages.pop() if messages else await receive()

    return replay


def _count_signs(text: bytes | str) -> int:
    if isinstance(text, str):
        return sum(map(text.count, ",[{"))
    return sum(map(text.count, (b",", b"[", b"{")))


def parse_json(text: bytes | str, what: str = "The body") -> Any:
    """Return what a text says; raise the refusal of one that is no JSON, or of very many values."""
    # Counted before they are built, with those within texts; a short text cannot have as many.
    if len(text) > MAX_JSON_VALUES and _count_signs(text) > MAX_JSON_VALUES:
        raise refuse(400, f"{what} has more than {MAX_JSON_VALUES} values.")
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise refuse(400, f"{what} is not valid JSON: {error.msg}.") from None


def read_parameters(parameters: dict[str, Any], *, may_be_many: bool = True) -> GraphQLRequest:
    """Return the parameters of a request; raise the refusal of what is not of the right type."""
    for name, kind, wanted in _TYPES:
        if not isinstance(parameters.get(name), (kind, NoneType)):
            raise refuse(400, f"`{name}` must be {wanted}.")
    query, variables = parameters.get("query"), parameters.get("variables") or {}
    reference = parameters.get("documentId") or _read_persisted_query(parameters.get("extensions") or {})
    if query is None and reference is None:
        raise refuse(400, "The parameter `query` is missing.")
    if may_be_many and are_many(variables):
        raise refuse(400, f"`variables` have more than {MAX_VALUES} values.")
    return GraphQLRequest(query or "", parameters.get("operationName") or None, variables, reference)


def _read_persisted_query(extensions: dict[str, Any]) -> PersistedQuery | None:
    persisted = extensions.get("persistedQuery")
    if persisted is None:
        return None
    if not isinstance(persisted, dict):
        raise refuse(400, "`extensions.persistedQuery` must be an object or null.")
    return PersistedQuery(persisted.get("version"), persisted.get("sha256Hash"))


def are_many(values: object) -> bool:
    """Return whether there are more than MAX_VALUES values, at any depth."""
    found, waiting = 0, [values]
    while waiting and found <= MAX_VALUES:
        value = waiting.pop()
        inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
        found += len(inner)
        waiting.extend(inner)
    return found > MAX_VALUES
