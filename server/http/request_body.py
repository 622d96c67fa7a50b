"""Reads a GraphQL request: its body within a bound, or its query string, as typed parameters."""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qsl

import orjson
from starlette.requests import ClientDisconnect
from starlette.types import Message, Receive

from core.errors import UnavailableError
from server.http.disconnect import TimeLimit
from server.http.errors import RefusedError, refuse
from server.http.headers import JSON, content_type_problem

BODY_TIMEOUT_S: Final = 30.0
# Each value is coerced in Python, before authorization.
MAX_VALUES: Final = 10_000
MAX_JSON_VALUES: Final = 50_000
MAX_OPEN_BYTES: Final = 64 * 1024 * 1024
_MAX_PARAMETERS: Final = 32
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
        if name in parameters:
            parameters[name] = _json_parameter(name, parameters[name])
    return read_parameters(parameters)._replace(method="GET")


async def read_body(headers: _Headers, receive: Receive, max_bytes: int, media_type: str = JSON) -> bytes:
    """Return the body; refuse one of another type, and one that is larger than the bound before it is read whole."""
    _check_headers(headers, max_bytes, media_type)
    return await _read_chunks(receive, max_bytes)


def replaying(body: bytes, receive: Receive) -> Receive:
    """Return a receive function that gives a body that was read once more."""
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> Message:
        return messages.pop() if messages else await receive()

    return replay


def parse_json(body: bytes) -> Any:
    """Return what a body says; raise the refusal of one that is no JSON, or of very many values."""
    # Counted before they are built, with those within texts; a short body cannot have as many.
    if len(body) > MAX_JSON_VALUES and sum(body.count(sign) for sign in (b",", b"[", b"{")) > MAX_JSON_VALUES:
        raise refuse(400, f"The body has more than {MAX_JSON_VALUES} values.")
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise refuse(400, f"The body is not valid JSON: {error.msg}.") from None


def _check_headers(headers: _Headers, max_bytes: int, media_type: str) -> None:
    problem = content_type_problem(headers, media_type)
    if problem is not None:
        raise refuse(415, problem)
    # Python reads no number of very many digits, and zeros may be as many as one likes.
    content_length = headers.get(b"content-length", b"").lstrip(b"0")
    if content_length.isdigit() and int(content_length) > max_bytes:
        raise _too_large(max_bytes)


class OpenBodies:
    """How many bytes of bodies that have not arrived whole this process holds."""

    held_bytes = 0


async def _read_chunks(receive: Receive, max_bytes: int) -> bytes:
    chunks, size, has_more = list[bytes](), 0, True
    try:
        with TimeLimit(BODY_TIMEOUT_S):
            while has_more and size <= max_bytes:
                chunk, has_more = await _read_chunk(receive)
                chunks.append(chunk)
                size += len(chunk)
                OpenBodies.held_bytes += len(chunk)
                if OpenBodies.held_bytes > MAX_OPEN_BYTES:
                    raise UnavailableError("The server receives too much at once. Try again shortly.")
    except TimeoutError:
        raise refuse(408, f"The body did not arrive within {BODY_TIMEOUT_S:.0f} seconds.") from None
    finally:
        OpenBodies.held_bytes -= size
    if size > max_bytes:
        raise _too_large(max_bytes)
    return b"".join(chunks)


async def _read_chunk(receive: Receive) -> tuple[bytes, bool]:
    message = await receive()
    if message["type"] != "http.request":
        raise ClientDisconnect
    return message.get("body", b""), message.get("more_body", False)


def _too_large(max_bytes: int) -> RefusedError:
    return refuse(413, f"The body is larger than {max_bytes} bytes.")


def _json_parameter(name: str, text: str) -> object:
    if not text:
        return None
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise refuse(400, f"The parameter `{name}` is not valid JSON: {error.msg}.") from None


def read_parameters(parameters: dict[str, Any], *, may_be_many: bool = True) -> GraphQLRequest:
    """Return the parameters of a request; raise the refusal of what is not of the right type."""
    extensions = parameters.get("extensions")
    if extensions is not None and not isinstance(extensions, dict):
        raise refuse(400, "`extensions` must be an object or null.")
    reference = _read_reference(parameters, extensions or {}) if extensions or "documentId" in parameters else None
    query = parameters.get("query")
    if not isinstance(query, str):
        if query is not None:
            raise refuse(400, "`query` must be a string.")
        if reference is None:
            raise refuse(400, "The parameter `query` is missing.")
    operation_name = parameters.get("operationName")
    if operation_name is not None and not isinstance(operation_name, str):
        raise refuse(400, "`operationName` must be a string or null.")
    variables = parameters.get("variables")
    if variables is not None and not isinstance(variables, dict):
        raise refuse(400, "`variables` must be an object or null.")
    if may_be_many and are_many(variables):
        raise refuse(400, f"`variables` have more than {MAX_VALUES} values.")
    return GraphQLRequest(query or "", operation_name or None, variables or {}, reference)


def _read_reference(parameters: dict[str, Any], extensions: dict[str, Any]) -> str | PersistedQuery | None:
    document_id = parameters.get("documentId")
    if not isinstance(document_id, str | None):
        raise refuse(400, "`documentId` must be a string or null.")
    if document_id:
        return document_id
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
