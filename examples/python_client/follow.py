"""Follows a conversation: prints each message once, whatever happens to the connection."""

import argparse
import asyncio
import getpass
import os
import random
import re
import sys
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from gql import Client, GraphQLRequest
from gql.transport.exceptions import TransportError, TransportQueryError
from gql.transport.websockets import WebsocketsTransport
from websockets.exceptions import ConnectionClosed, WebSocketException

SHORTEST_WAIT_S = 0.2
LONGEST_WAIT_S = 10.0
ANSWER_WITHIN_S = 10.0
RENEW_BEFORE = timedelta(minutes=1)
FORBIDDEN = 4403
DEFAULT_URL = "ws://127.0.0.1:8000/graphql"
CUTS = (TransportError, WebSocketException, OSError, TimeoutError)

TOKENS = "accessToken refreshToken expiresAt errors { message }"
SIGN_IN = f"mutation SignIn($input: SignInInput!) {{ tokens: signIn(input: $input) {{ {TOKENS} }} }}"
REFRESH = f"mutation Refresh($input: RefreshSessionInput!) {{ tokens: refreshSession(input: $input) {{ {TOKENS} }} }}"
LATEST = "query Latest { conversations(first: 1) { nodes { id } } }"
FIELDS = "changed { ... on Message { role content status conversation { id } } } cursor hasMore"
READ = f"query Read($since: String) {{ changes(since: $since, first: 100) {{ {FIELDS} }} }}"
FOLLOW = f"subscription Follow($since: String) {{ changes(since: $since) {{ {FIELDS} }} }}"


class SignInError(Exception):
    """The server knows no such person, or not by this password."""


class Account:
    """Signs in, and keeps the access token fresh."""

    def __init__(self, url: str, email: str, password: str) -> None:
        # A socket's address differs from that of requests in its scheme alone.
        self.url = re.sub("^http", "ws", url)
        self._credentials = {"email": email, "password": password}
        self._tokens: dict[str, Any] | None = None
        self._renew_at = datetime.now(UTC)

    def connect(self, token: str | None = None, *, patience_s: float | None = ANSWER_WITHIN_S) -> Client:
        """Return a client whose socket carries the token, and which waits so long for an answer."""
        payload = None if token is None else {"Authorization": f"Bearer {token}"}
        subprotocols = [WebsocketsTransport.GRAPHQLWS_SUBPROTOCOL]
        transport = WebsocketsTransport(self.url, init_payload=payload, subprotocols=subprotocols)
        return Client(transport=transport, execute_timeout=patience_s)

    async def access_token(self) -> str:
        """Return an access token that lasts a while."""
        if self._tokens is not None and datetime.now(UTC) >= self._renew_at:
            # Good for one use, whether its answer arrives or not; without it the password helps.
            refresh_token, self._tokens = self._tokens["refreshToken"], None
            with suppress(SignInError):
                self._tokens = await self._obtain(REFRESH, {"refreshToken": refresh_token})
        if self._tokens is None:
            self._tokens = await self._obtain(SIGN_IN, self._credentials)
        return str(self._tokens["accessToken"])

    def distrust_token(self) -> None:
        """Let the next token be another one: the server refused this one before its time."""
        self._renew_at = datetime.now(UTC)

    async def _obtain(self, mutation: str, given: dict[str, str]) -> dict[str, Any]:
        async with self.connect() as session:
            answer = await session.execute(GraphQLRequest(mutation, variable_values={"input": given}))
        tokens: dict[str, Any] = answer["tokens"]
        for error in tokens["errors"]:
            raise SignInError(error["message"])
        self._renew_at = datetime.fromisoformat(tokens["expiresAt"]) - RENEW_BEFORE
        return tokens


async def change_sets(account: Account, cursor: str | None) -> AsyncIterator[dict[str, Any]]:
    """Yield what lies beyond the cursor, then what changes, over one connection."""
    async with account.connect(await account.access_token()) as session:
        has_more = cursor is None
        while has_more:
            answer = await session.execute(GraphQLRequest(READ, variable_values={"since": cursor}))
            cursor, has_more = answer["changes"]["cursor"], answer["changes"]["hasMore"]
            yield answer["changes"]
        async for answer in session.subscribe(GraphQLRequest(FOLLOW, variable_values={"since": cursor})):
            yield answer["changes"]


async def all_change_sets(account: Account, cursor: str | None) -> AsyncIterator[dict[str, Any]]:
    """Yield what lies beyond the cursor, then what changes; after a cut go on from where it was."""
    failures = 0
    while True:
        try:
            async for changes in change_sets(account, cursor):
                yield changes
                cursor, failures = changes["cursor"], 0
        except CUTS as error:
            if has_code(error, "CURSOR_EXPIRED"):
                cursor = None
            note_cut(account, error)
        await pause(failures)
        failures += 1


def note_cut(account: Account, error: BaseException) -> None:
    """Tell of a failure, and prepare for another attempt."""
    if has_code(error, "UNAUTHENTICATED") or close_code(error) == FORBIDDEN:
        account.distrust_token()
    print(f"reconnecting: {error} ({account.url})", file=sys.stderr, flush=True)


async def pause(failures: int) -> None:
    """Wait before another attempt, longer each time."""
    wait_s = min(LONGEST_WAIT_S, SHORTEST_WAIT_S * 2**failures)
    await asyncio.sleep(wait_s * random.uniform(0.5, 1))  # noqa: S311 - no secret comes of it


def has_code(error: BaseException, code: str) -> bool:
    """Tell whether the server gave this code for an operation's failure."""
    errors = (error.errors or []) if isinstance(error, TransportQueryError) else []
    return any(each.get("extensions", {}).get("code") == code for each in errors)


def close_code(error: BaseException) -> int | None:
    """Return the code that the server closed the socket with."""
    cause = error if isinstance(error, ConnectionClosed) else error.__cause__
    return cause.rcvd.code if isinstance(cause, ConnectionClosed) and cause.rcvd else None


async def latest_conversation(account: Account) -> str:
    """Return the id of the conversation that was active last."""
    async with account.connect(await account.access_token()) as session:
        nodes = (await session.execute(GraphQLRequest(LATEST)))["conversations"]["nodes"]
    if not nodes:
        raise SignInError("This account has no conversation yet.")
    return str(nodes[0]["id"])


def read_cursor(path: Path | None) -> str | None:
    """Return where the last run was."""
    return path.read_text(encoding="ascii") if path and path.exists() else None


def write_cursor(path: Path | None, cursor: str) -> None:
    """Keep where this run is, for the next one."""
    if path:
        path.write_text(cursor, encoding="ascii")


async def follow(account: Account, conversation_id: str | None, cursor_file: Path | None) -> None:
    """Print the messages of the conversation, for ever."""
    conversation_id = conversation_id or await latest_conversation(account)
    async for changes in all_change_sets(account, read_cursor(cursor_file)):
        for row in changes["changed"]:
            # Rows of other kinds are empty here.
            if row.get("status") == "COMPLETE" and row["conversation"]["id"] == conversation_id:
                print(f"{row['role'].lower()}: {row['content']}", flush=True)
        write_cursor(cursor_file, changes["cursor"])


def main() -> None:
    """Read the command line and follow until interrupted."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("email")
    parser.add_argument("--conversation", metavar="ID", help="the one that was active last, if not given")
    parser.add_argument("--cursor-file", metavar="FILE", type=Path, help="where to keep the place for the next run")
    parser.add_argument("--url", default=DEFAULT_URL, help="of the API (default: %(default)s)")
    arguments = parser.parse_args()
    password = os.environ.get("TASKTALK_PASSWORD") or getpass.getpass()
    account = Account(arguments.url, arguments.email, password)
    try:
        asyncio.run(follow(account, arguments.conversation, arguments.cursor_file))
    except (SignInError, *CUTS) as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        pass


if __name__ == "__main__":
    main()
