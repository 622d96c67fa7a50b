"""Messages completed after a cursor, and the text of a reply from any offset, on both databases."""

import pytest

from core.database import Database
from core.errors import BadUserInputError, CursorExpiredError
from core.ids import new_id, new_ids
from models import Message, MessageStatus, RunStatus
from services.conversations import messages
from services.conversations.messages import MessageCursor, Reply, completed_since, resume
from tests.factories import SignedIn, make_answered, make_conversation, make_message, message_row, store
from tests.services.rows import all_statements, change_user

COLUMNS = frozenset({"content"})
TEXT = "Ünï\N{ROCKET}c\u0301o\u202ed\n\N{FAMILY}e"


async def test_completed_messages_are_paged_in_order_of_completion(database: Database, user: SignedIn) -> None:
    conversation = await make_conversation(database, user.caller)
    # Ids do not follow revisions: a reply that takes long is begun before, and completed after, a short one.
    ids = new_ids(250)
    rows = [message_row(user, conversation.id, id=ids[-n], content=str(n), revision=1 + n // 7) for n in range(250)]
    incomplete = [status for status in MessageStatus if status is not MessageStatus.COMPLETE]
    await store(database, *rows, *(message_row(user, conversation.id, status=status) for status in incomplete))
    await change_user(database, user.user.id, revision=1 + 249 // 7)
    cursor, found = MessageCursor(0), []
    async with database.read() as session:
        while page := await completed_since(session, user.caller, conversation.id, cursor, COLUMNS):
            assert len(page) <= messages.MAX_COMPLETED
            found += [(row.revision, row.id) for row in page]
            cursor = MessageCursor(*found[-1])
        assert found == sorted((row.revision, row.id) for row in rows)
        for columns in (frozenset[str](), COLUMNS, frozenset({"role", "status"})):
            row, *_ = await completed_since(session, user.caller, conversation.id, MessageCursor(0), columns)
            assert set(row._fields) == columns | {"id", "revision", "created_at"}


def test_resume_refuses_a_cursor_ahead_of_the_counter() -> None:
    present = MessageCursor(7)
    assert resume(None, present) == present
    for cursor in (MessageCursor(0), MessageCursor(7), MessageCursor(7, new_id())):
        assert resume(cursor, present) == cursor
    with pytest.raises(CursorExpiredError):
        resume(MessageCursor(8), present)


async def read(database: Database, user: SignedIn, message_id: str, offset: int = 0) -> Reply:
    return await messages.read_reply(database.reader, user.caller, message_id, offset)


async def said(database: Database, user: SignedIn, content: str) -> Message:
    conversation = await make_conversation(database, user.caller)
    return await make_message(database, user.caller, conversation.id, content)


async def test_reply_is_read_from_every_offset_by_one_statement(database: Database, user: SignedIn) -> None:
    message = await said(database, user, TEXT)
    offsets = [*range(len(TEXT) + 2), 100_000, 100_001, 2**31 - 1, 2**63, 10**40]
    with all_statements(database) as statements:
        for offset in offsets:
            reply = await read(database, user, message.id, offset)
            assert reply == Reply(TEXT[offset:], min(offset, len(TEXT)), len(TEXT), MessageStatus.COMPLETE)
    assert len(statements) == len(offsets)
    longest = await said(database, user, "\N{ROCKET}" * 99_999 + "!")
    for offset, text in ((99_999, "!"), (100_000, ""), (0, longest.content)):
        assert (await read(database, user, longest.id, offset)).text == text


async def test_reply_has_the_state_of_its_run(database: Database, user: SignedIn) -> None:
    for status, has_ended, is_paused in (
        *((status, False, False) for status in (RunStatus.QUEUED, RunStatus.RUNNING)),
        (RunStatus.AWAITING_APPROVAL, False, True),
        (RunStatus.COMPLETED, True, False),
    ):
        conversation = await make_conversation(database, user.caller)
        answered = await make_answered(database, user, conversation.id, status=status)
        reply = await read(database, user, answered.reply.id.upper())
        assert (reply.has_ended, reply.is_paused) == (has_ended, is_paused), status


def test_negative_offset_is_refused() -> None:
    assert [messages.check_offset(each, "fromOffset") for each in (0, 1, 2**31 - 1)] == [0, 1, 2**31 - 1]
    with pytest.raises(BadUserInputError, match=r"^fromOffset counts from 0; it is -1\.$"):
        messages.check_offset(-1, "fromOffset")
