"""A reply's text from any place: code points on both databases, and by one statement."""

import pytest

from core.database import Database
from core.errors import BadUserInputError, NotFoundError
from core.ids import new_id
from core.settings import Settings
from models import Message, MessageStatus, RunStatus
from services.conversations.messages import Reply, check_offset, read_reply
from tests.factories import (
    SignedIn,
    answered_rows,
    make_conversation,
    make_message,
    make_task,
    sign_in,
    store_answered,
)
from tests.services.rows import all_statements

TEXT = "Ünï\N{ROCKET}c\u0301o\u202ed\n\N{FAMILY}e"


@pytest.fixture
async def user(database: Database, settings: Settings) -> SignedIn:
    return await sign_in(database, settings)


async def read(database: Database, user: SignedIn, message_id: str, offset: int = 0) -> Reply:
    async with database.read() as session:
        return await read_reply(session, user.caller, message_id, offset)


async def said(database: Database, user: SignedIn, content: str) -> Message:
    conversation = await make_conversation(database, user.caller)
    return await make_message(database, user.caller, conversation.id, content)


async def test_reply_is_read_from_every_offset(database: Database, user: SignedIn) -> None:
    message = await said(database, user, TEXT)
    for offset in range(len(TEXT) + 1):
        reply = await read(database, user, message.id, offset)
        assert reply == Reply(TEXT[offset:], offset, len(TEXT), MessageStatus.COMPLETE)


async def test_reply_beyond_its_end_is_empty(database: Database, user: SignedIn) -> None:
    message = await said(database, user, TEXT)
    for offset in (len(TEXT), len(TEXT) + 1, 100_000, 100_001, 2**31 - 1, 2**63, 10**40):
        reply = await read(database, user, message.id, offset)
        assert reply == Reply("", len(TEXT), len(TEXT), MessageStatus.COMPLETE)


async def test_longest_reply_is_read_to_its_end(database: Database, user: SignedIn) -> None:
    message = await said(database, user, "\N{ROCKET}" * 99_999 + "!")
    assert (await read(database, user, message.id, 99_999)).text == "!"
    assert (await read(database, user, message.id, 100_000)).text == ""
    assert len((await read(database, user, message.id)).text) == 100_000


@pytest.mark.parametrize(
    ("status", "has_ended", "is_paused"),
    [
        (RunStatus.QUEUED, False, False),
        (RunStatus.RUNNING, False, False),
        (RunStatus.AWAITING_APPROVAL, False, True),
        (RunStatus.COMPLETED, True, False),
    ],
)
async def test_reply_has_the_state_of_its_run(
    database: Database, user: SignedIn, status: RunStatus, *, has_ended: bool, is_paused: bool
) -> None:
    conversation = await make_conversation(database, user.caller)
    answered = answered_rows(user, conversation.id, status=status)
    await store_answered(database, answered)
    reply = await read(database, user, answered.reply.id.upper())
    assert (reply.has_ended, reply.is_paused) == (has_ended, is_paused)


async def test_reply_is_read_by_one_statement(database: Database, user: SignedIn) -> None:
    message = await said(database, user, TEXT)
    with all_statements(database) as statements:
        await read(database, user, message.id, 3)
    assert len(statements) == 1


async def test_unknown_and_foreign_messages_are_not_found(
    database: Database, settings: Settings, user: SignedIn
) -> None:
    theirs = await said(database, await sign_in(database, settings), TEXT)
    task = await make_task(database, user.caller)
    for message_id in (theirs.id, task.id, new_id(), "", "x", "\0", "\ud800"):
        with pytest.raises(NotFoundError, match=r"^There is no such message\.$"):
            await read(database, user, message_id)


def test_negative_offset_is_refused() -> None:
    assert [check_offset(each, "fromOffset") for each in (0, 1, 2**31 - 1)] == [0, 1, 2**31 - 1]
    with pytest.raises(BadUserInputError, match=r"^fromOffset counts from 0; it is -1\.$"):
        check_offset(-1, "fromOffset")
