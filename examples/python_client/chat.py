"""Asks the assistant, and prints its reply while it is written, each character once, whatever happens meanwhile."""

import argparse
import asyncio
import getpass
import os
import sys
import uuid
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

from follow import CUTS, DEFAULT_URL, Account, SignInError, note_cut, pause
from gql import GraphQLRequest

SEND = """mutation Send($input: SendMessageInput!) {
    payload: sendMessage(input: $input) {
        reply { id }
        run { status error toolCalls { id name arguments status } }
        errors { message }
    }
}"""
RESOLVE = """mutation Resolve($input: ResolveToolCallInput!) {
    payload: resolveToolCall(input: $input) { errors { message } }
}"""
STREAM = """subscription Reply($messageId: ID!, $fromOffset: Int!) {
    chunk: replyStream(messageId: $messageId, fromOffset: $fromOffset) { text nextOffset status }
}"""


class RefusedError(Exception):
    """The server says why it does not do it."""


async def mutate(account: Account, mutation: str, given: dict[str, Any]) -> dict[str, Any]:
    """Return the payload, after as many attempts as it takes."""
    failures = 0
    while True:
        try:
            # The answer may take as long as the assistant does; a connection that is dead is noticed without it.
            async with account.connect(await account.access_token(), patience_s=None) as session:
                answer = await session.execute(GraphQLRequest(mutation, variable_values={"input": given}))
        except CUTS as error:
            note_cut(account, error)
            await pause(failures)
            failures += 1
        else:
            return accepted(answer["payload"])


def accepted(payload: dict[str, Any]) -> dict[str, Any]:
    """Return a payload without errors."""
    for problem in payload["errors"]:
        raise RefusedError(problem["message"])
    return payload


async def reply_pieces(account: Account, message_id: str) -> AsyncIterator[str]:
    """Yield a reply's text as it is written; after a cut go on where it ended."""
    offset = failures = 0
    while True:
        try:
            async with account.connect(await account.access_token()) as session:
                request = GraphQLRequest(STREAM, variable_values={"messageId": message_id, "fromOffset": offset})
                async for answer in session.subscribe(request):
                    chunk = answer["chunk"]
                    yield chunk["text"]
                    offset, failures = chunk["nextOffset"], 0
                    if chunk["status"] != "STREAMING":
                        return
        except CUTS as error:
            note_cut(account, error)
        await pause(failures)
        failures += 1


async def print_reply(account: Account, message_id: str) -> None:
    """Print a reply while it is written."""
    async for piece in reply_pieces(account, message_id):
        print(piece, end="", flush=True)
    print()


async def decide(account: Account, call: dict[str, Any]) -> None:
    """Ask the person whether the assistant may do what it wants to do."""
    print(f"\nMay the assistant use {call['name']} with {call['arguments']}? [y/N] ", end="", flush=True)
    answer = await asyncio.to_thread(sys.stdin.readline)
    # Refused where it is decided by now: in another window, or by this before its answer was lost.
    with suppress(RefusedError):
        await mutate(account, RESOLVE, {"id": call["id"], "approve": answer.strip().lower() in {"y", "yes"}})


async def chat(account: Account, content: str, time_zone: str) -> None:
    """Send one message in a new conversation, and see to it until the reply is complete."""
    # With its key, it is one message however often it is sent: to begin, and then to wait for the run's next stop.
    message = {"content": content, "timeZone": time_zone, "idempotencyKey": str(uuid.uuid4())}
    payload = await mutate(account, SEND, message | {"wait": False})
    printing = asyncio.create_task(print_reply(account, payload["reply"]["id"]))
    run = (await mutate(account, SEND, message))["run"]
    while run["status"] == "AWAITING_APPROVAL":
        for call in run["toolCalls"]:
            if call["status"] == "AWAITING_APPROVAL":
                await decide(account, call)
        run = (await mutate(account, SEND, message))["run"]
    await printing
    if run["error"] is not None:
        raise RefusedError(run["error"])


def main() -> None:
    """Read the command line, ask, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("email")
    parser.add_argument("message", help='such as "add buy milk for tomorrow and tell me what is open"')
    parser.add_argument(
        "--time-zone", metavar="NAME", default="UTC", help="such as Europe/Berlin; dates are read in it (default: UTC)"
    )
    parser.add_argument("--url", default=DEFAULT_URL, help="of the API (default: %(default)s)")
    arguments = parser.parse_args()
    password = os.environ.get("TASKTALK_PASSWORD") or getpass.getpass()
    account = Account(arguments.url, arguments.email, password)
    try:
        asyncio.run(chat(account, arguments.message, arguments.time_zone))
    except (SignInError, RefusedError) as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        pass


if __name__ == "__main__":
    main()
