"""Cursors as clients see them: whatever may come back is read, or is none."""

import base64
import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import BadUserInputError
from services.conversations.messages import MessageCursor, read_message_cursor
from services.query.cursors import decode_cursor, encode_cursor, is_revision
from services.sync.changes import Cursor, read_cursor

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(), inner, max_size=5),
    max_leaves=10,
)
REVISIONS = st.integers(0, (1 << 31) - 1)
STORABLE = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=255)


def encoded(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).decode()


def as_cursor(values: object) -> str:
    """Return a cursor of values that ours never has, endless numbers among them."""
    return encoded(json.dumps(values).encode())


@given(st.lists(st.none() | st.booleans() | st.integers(-(1 << 53), 1 << 53) | STORABLE, max_size=5))
def test_encoded_values_are_decoded(values: list[Any]) -> None:
    text = encode_cursor(values)
    assert decode_cursor(text) == values
    assert text.replace("-", "").replace("_", "").isalnum() or not text


def test_integer_in_range_alone_is_a_revision() -> None:
    assert all(map(is_revision, (0, 1, (1 << 31) - 1)))
    assert not any(map(is_revision, (True, False, -1, 1 << 31, 1 << 64, 1.0, "1", None, [1])))


@given(REVISIONS, st.none() | STORABLE, REVISIONS, st.none() | st.uuids().map(str))
def test_cursors_come_back(revision: int, row_id: str | None, base: int, message_id: str | None) -> None:
    changes, messages = Cursor(revision, row_id, base), MessageCursor(revision, message_id)
    assert read_cursor(changes.write(), "since") == changes
    assert read_message_cursor(messages.write(), "after") == messages


MARKS = st.sampled_from(["changes", "messages", "tasks", ""])


@given(
    st.text()
    | st.binary().map(encoded)
    | JSON.map(lambda value: as_cursor([value]))
    | st.lists(MARKS | JSON, max_size=5).map(as_cursor)
    | st.tuples(MARKS, JSON, JSON, JSON).map(lambda values: as_cursor(list(values)))
    | st.tuples(MARKS, JSON, JSON).map(lambda values: as_cursor(list(values)))
)
def test_any_text_is_refused_or_means_the_same_written_again(text: str) -> None:
    for read, name in ((read_cursor, "since"), (read_message_cursor, "after")):
        with suppress(BadUserInputError):
            cursor = read(text, name)
            assert read(cursor.write(), name) == cursor


NO_REVISIONS = (True, 1.0, "1", -1, 1 << 31, 10**18)


def test_malformed_cursors_of_changes_and_messages_are_refused() -> None:
    of_changes: list[list[Any]] = [
        *(["messages", 1, None], ["changes", 1, None], ["changes", 1, None, 0, 0], [None, 1, None, 0]),
        *(["changes", revision, None, 0] for revision in NO_REVISIONS),
        *(["changes", 1, None, base] for base in NO_REVISIONS),
        *(["changes", 1, row_id, 0] for row_id in (7, "\0")),
    ]
    of_messages: list[list[Any]] = [
        *(["changes", 1, None, 0], ["messages", 1]),
        *(["messages", revision, None] for revision in NO_REVISIONS),
        *(["messages", 1, row_id] for row_id in ("x", "0190F0C8-7B5E-7CC1-9D6F-2F6B8A5C4D3E", 7)),
    ]
    for read, cases, told in (
        (read_cursor, of_changes, "cursor of changes; pass one that changes"),
        (read_message_cursor, of_messages, "cursor of messages; pass one that message"),
    ):
        for values in cases:
            with pytest.raises(BadUserInputError, match=rf"^after is not a {told}"):
                read(encode_cursor(values), "after")
