"""The messages of graphql-transport-ws, and the codes that it closes a socket with."""

from enum import IntEnum
from typing import Any, Final

import orjson

from server.errors import FormattedError, RefusedError
from server.request_body import GraphQLRequest, read_parameters

PROTOCOL: Final = "graphql-transport-ws"
_LONGEST_ID: Final = 200
# A close frame has room for 125 bytes, two of which are the code.
_LONGEST_REASON: Final = 123


class CloseCode(IntEnum):
    """Why a socket is closed; from 4400 on as the protocol numbers it."""

    INTERNAL_ERROR = 1011
    SERVICE_RESTART = 1012
    TRY_AGAIN_LATER = 1013
    BAD_REQUEST = 4400
    UNAUTHORIZED = 4401
    FORBIDDEN = 4403
    SUBPROTOCOL_NOT_ACCEPTABLE = 4406
    INITIALISATION_TIMEOUT = 4408
    SUBSCRIBER_EXISTS = 4409
    TOO_MANY = 4429


class CloseSocketError(Exception):
    """Something that ends the socket."""

    def __init__(self, code: CloseCode, reason: str) -> None:
        super().__init__(reason)
        self.code = code


def read_message(message: Any) -> tuple[str, dict[str, Any]]:
    """Return the type of a client's message and the message; raise the end of a socket that sends no such thing."""
    try:
        content = orjson.loads(message.get("text") or message.get("bytes") or b"")
    except orjson.JSONDecodeError:
        raise _malformed("it is not valid JSON") from None
    if not isinstance(content, dict) or not isinstance(content.get("type"), str):
        raise _malformed("it is no object with a type")
    if not isinstance(content.get("payload"), dict | None):
        raise _malformed("its payload is no object")
    return content["type"], content


def credentials_in(content: dict[str, Any]) -> bytes | None:
    """Return what a message's payload has under Authorization."""
    for name, value in (content.get("payload") or {}).items():
        if name.lower() == "authorization":
            if not isinstance(value, str):
                raise CloseSocketError(CloseCode.FORBIDDEN, "The Authorization must be `Bearer` and an access token.")
            return value.encode()
    return None


def id_in(content: dict[str, Any]) -> str:
    """Return the id of a message's operation."""
    operation_id = content.get("id")
    if not isinstance(operation_id, str) or not 1 <= len(operation_id) <= _LONGEST_ID:
        raise _malformed(f"its id must be a text of 1 to {_LONGEST_ID} characters")
    return operation_id


def request_in(content: dict[str, Any]) -> GraphQLRequest:
    """Return the request that a message subscribes with."""
    try:
        return read_parameters(content.get("payload") or {})
    except RefusedError as refusal:
        raise _malformed(str(refusal)) from None


def close_message(code: CloseCode, reason: str) -> dict[str, Any]:
    """Return ASGI's message that closes a socket."""
    fitting = reason.encode()[:_LONGEST_REASON].decode(errors="ignore")
    return {"type": "websocket.close", "code": code.value, "reason": fitting}


def text_message(content: dict[str, Any]) -> dict[str, Any]:
    """Return ASGI's message that sends one of the protocol's."""
    return {"type": "websocket.send", "text": orjson.dumps(content).decode()}


def error_message(operation_id: str, errors: list[FormattedError]) -> dict[str, Any]:
    """Return the message that an operation ends with when it fails."""
    return {"type": "error", "id": operation_id, "payload": errors}


def _malformed(reason: str) -> CloseSocketError:
    return CloseSocketError(CloseCode.BAD_REQUEST, f"Invalid message received: {reason}.")
