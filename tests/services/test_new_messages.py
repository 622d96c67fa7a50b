"""The messages completed after a cursor."""

import pytest

from core.database import Database
from core.errors import CursorExpiredError, NotFoundError
from core.ids import new_id, new_ids
from core.settings import Settings
from models import MessageStatus
from services.conversations.new_messages import MAX_AT_ONCE, MessageCursor, completed_since, current_revision, resume
from services.conversations.messages import MAX_COMPLETED, MessageCursor, completed_since, current_revision, resume
from tests.factories import SignedIn, make_conversation, make_message, message_row, sign_in, store

COLUMNS = frozenset({"content"})


@pytest.fixture
async def user(database: Database, settings: Settings) -> SignedIn:
    return await sign_in(database, settings)


async def test_completed_messages_are_paged_in_order_of_completion(database: Database, user: SignedIn) -> None:
    conversation = await make_conversation(database, user.caller)
    # Ids do not follow revisions: a reply that takes long is begun before, and completed after, a short one.
    ids = new_ids(250)
    rows = [message_row(user, conversation.id, id=ids[-n], content=str(n), revision=1 + n // 7) for n in range(250)]
    await store(database, *rows)
    expected = sorted((row.revision, row.id) for row in rows)
    cursor, found = MessageCursor(0), []
    async with database.read() as session:
        while page := await completed_since(session, user.caller, conversation.id, cursor, COLUMNS):
            assert len(page) <= MAX_COMPLETED
            found += [(row.revision, row.id) for row in page]
            cursor = MessageCursor(*found[-1])
    assert found == expected


async def test_completed_messages_have_the_selected_columns(database: Database, user: SignedIn) -> None:
    conversation = await make_conversation(database, user.caller)
    await make_message(database, user.caller, conversation.id)
    async with database.read() as session:
        for columns in (frozenset[str](), COLUMNS, frozenset({"role", "status"})):
            (row,) = await completed_since(session, user.caller, conversation.id, MessageCursor(0), columns)
            assert set(row._fields) == columns | {"id", "revision", "created_at"}


@pytest.mark.parametrize("status", [status for status in MessageStatus if status is not MessageStatus.COMPLETE])
async def test_incomplete_messages_are_left_out(database: Database, user: SignedIn, status: MessageStatus) -> None:
    conversation = await make_conversation(database, user.caller)
    await store(database, message_row(user, conversation.id, status=status))
    async with database.read() as session:
        assert not await completed_since(session, user.caller, conversation.id, MessageCursor(0), COLUMNS)


async def test_foreign_conversation_is_not_found(database: Database, settings: Settings, user: SignedIn) -> None:
    other = await sign_in(database, settings)
    theirs = await make_conversation(database, other.caller)
    await make_message(database, other.caller, theirs.id)
    async with database.read() as session:
        assert await current_revision(session, other.caller, theirs.id) == 2
        for conversation_id in (theirs.id, new_id(), "", "\0"):
            with pytest.raises(NotFoundError):
                await current_revision(session, user.caller, conversation_id)
            with pytest.raises(NotFoundError):
                await completed_since(session, user.caller, conversation_id, MessageCursor(0), COLUMNS)


def test_resume_refuses_a_cursor_ahead_of_the_counter() -> None:
    assert resume(None, 7) == MessageCursor(7)
    for cursor in (MessageCursor(0), MessageCursor(7), MessageCursor(7, new_id())):
        assert resume(cursor, 7) == cursor
    with pytest.raises(CursorExpiredError):
        resume(MessageCursor(8), 7)
