"""Cursors: the place of a row, there and back; whatever else is sent as one is refused."""

import base64
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.database import Database
from core.errors import BadUserInputError
from core.ids import parse_id
from core.text import is_storable
from models import Task
from models.columns import columns_of
from services.accounts.users import user_listing
from services.conversations.conversations import conversation_listing
from services.conversations.messages import message_listing
from services.query.ordering import Order, OrderDirection
from services.tasks.task_lists import TaskOrder, task_listing
from tests.factories import task_row
from tests.services.task_rows import MOMENTS, NOON, caller_of, orders, task_pages, task_values

ID: Final = "01890a5d-ac96-774b-bcce-b302099a8057"
CALLER: Final = caller_of(ID)
EVERY_ORDER: Final = [TaskOrder(field) for field in TaskOrder.fields]

json_values: Final = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=40)
    | st.sampled_from([ID, ID.upper(), NOON.isoformat(), "2026-01-31", "HIGH", "0001-01-01T00:00:00+23:59"])
    | st.datetimes(timezones=st.timezones()).map(datetime.isoformat),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


def order_of(*parts: TaskOrder) -> Order:
    return task_listing(CALLER, order=parts).order


def encoded(content: Any) -> str:
    document = content if isinstance(content, bytes) else orjson.dumps(content)
    return base64.urlsafe_b64encode(document).decode().rstrip("=")


def decoded(cursor: str) -> list[Any]:
    values: list[Any] = orjson.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    return values


def read_or_refuse(order: Order, cursor: str) -> tuple[Any, ...] | None:
    """Return the values of a place, each of its type, or None where the cursor is refused as it should be."""
    try:
        values = order.read_cursor(cursor, "after")
    except BadUserInputError:
        return None
    assert len(values) == len(order.keys)
    for part, value in zip(order.keys, values, strict=True):
        assert (value is None and part.key.nullable) or _is_of_its_type(part.key.column, value)
    return values


def _is_of_its_type(column: str, value: Any) -> bool:
    if isinstance(value, datetime):
        return columns_of(Task)[column].type is datetime and value.tzinfo is UTC
    is_text = isinstance(value, str) and is_storable(value) and (column != "id" or parse_id(value) == value)
    return isinstance(value, columns_of(Task)[column].type) and (is_text or not isinstance(value, str))


def _lower(values: Iterable[Any]) -> list[Any]:
    return [each.lower() if isinstance(each, str) else each for each in values]


@given(values=task_values, order=orders)
def test_cursor_marks_the_position_of_its_row(values: dict[str, Any], order: list[TaskOrder]) -> None:
    keys, row = order_of(*order), task_row(ID, **values)
    found = read_or_refuse(keys, keys.cursor(row))
    assert found is not None
    assert _lower(found) == _lower(getattr(row, part.key.column) for part in keys.keys)


@pytest.mark.parametrize("char", ["a", "\x01", "\N{PARTY POPPER}", '"'])
def test_cursor_of_the_longest_title_is_read(char: str) -> None:
    keys = order_of(*EVERY_ORDER)
    found = read_or_refuse(keys, keys.cursor(task_row(ID, id=ID, title=char * 500, due_at=MOMENTS[1])))
    assert char * 500 in (found or ())


def test_refused_cursor_says_how_to_mend_it() -> None:
    expected = "after is not a cursor of this list in this order; pass one that it returned, with the same orderBy."
    with pytest.raises(BadUserInputError) as caught:
        order_of().read_cursor("no cursor", "after")
    assert (caught.value.path, caught.value.message) == (("after",), expected)


@given(values=task_values, order=orders, data=st.data())
def test_changed_cursor_is_refused_or_read(values: dict[str, Any], order: list[TaskOrder], data: st.DataObject) -> None:
    keys = order_of(*order)
    cursor = keys.cursor(task_row(ID, **values))
    parts, chars = decoded(cursor), list(cursor)
    parts[data.draw(st.integers(1, len(parts) - 1))] = data.draw(json_values)
    place = data.draw(st.integers(0, len(chars) - 1))
    chars[place : place + data.draw(st.integers(0, 3))] = data.draw(st.text(max_size=3))
    for changed in (encoded(parts), "".join(chars)):
        read_or_refuse(keys, changed)
    more_or_fewer = decoded(cursor)[: data.draw(st.integers(0, 6))] + data.draw(st.lists(json_values, max_size=3))
    if len(more_or_fewer) != len(parts):
        assert read_or_refuse(keys, encoded(more_or_fewer)) is None


def _created_at(moment: Any, row_id: Any = ID) -> str:
    return encoded([*decoded(order_of().cursor(task_row(ID, id=ID)))[:1], moment, row_id])


NO_MOMENTS: Final[list[Any]] = [
    *(None, True, 10**18, [], {}, "", "\0", "2026-01-31", "2026-01-31T12:00:00", "2026-02-30T00:00:00+00:00"),
    *("10000-01-01T00:00:00+00:00", "0000-01-01T00:00:00+00:00"),
    *("0001-01-01T00:00:00+00:01", "9999-12-31T23:59:59-00:01"),
]


def test_hostile_cursor_is_refused() -> None:
    for cursor in (
        *("", "\ud800", "\0", "=", "A", "A" * 1_000_000, _created_at(NOON.isoformat())[:-1] + "!"),
        *map(encoded, ([], {}, "created_at,id", None, b"[1e999]", b"[" + b"9" * 1_000 + b"]", b'["\\ud800"]')),
        *(encoded(b"[" * depth + b"]" * depth) for depth in (2_000, 10_000)),
        encoded(b'{"a":' * 500 + b"1" + b"}" * 500),
        *(_created_at(NOON.isoformat(), row_id) for row_id in (None, 7, "\0", f"{ID}0", f"{{{ID}}}", [ID])),
        *map(_created_at, NO_MOMENTS),
    ):
        assert read_or_refuse(order_of(), cursor) is None


def test_cursor_of_another_order_or_list_is_refused() -> None:
    row = task_row(ID, id=ID, created_at=NOON, updated_at=NOON, due_at=NOON)
    every = [
        order_of(TaskOrder(field, direction), *more)
        for field in TaskOrder.fields
        for direction in OrderDirection
        for more in ((), (TaskOrder.by("title"),))
        if not more or field is not TaskOrder.fields("TITLE")
    ]
    admin = replace(CALLER, is_admin=True)
    every += [each.order for each in (conversation_listing(CALLER), message_listing(CALLER), user_listing(admin))]
    for order in every:
        cursor = order.cursor(row)
        for other in every:
            assert (read_or_refuse(other, cursor) is not None) == (other == order)


@given(values=task_values, order=orders, data=st.data())
async def test_accepted_cursor_suits_the_database(
    database: Database, values: dict[str, Any], order: list[TaskOrder], data: st.DataObject
) -> None:
    keys = order_of(*order)
    parts = decoded(keys.cursor(task_row(ID, **values)))
    texts = st.text(max_size=20) | st.datetimes(timezones=st.timezones()).map(datetime.isoformat)
    parts[data.draw(st.integers(1, len(parts) - 1))] = data.draw(texts)
    cursor = encoded(parts)
    if read_or_refuse(keys, cursor) is not None:
        read = task_pages(database, CALLER, order)
        assert (await read(after=cursor)).rows == (await read(last=5, before=cursor)).rows == []
