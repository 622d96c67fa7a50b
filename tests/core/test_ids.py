"""Ids: UUIDv7 as canonical text."""

import time
import uuid

from hypothesis import given
from hypothesis import strategies as st

from core.ids import new_id, new_ids, parse_id

ID = "0190f0c8-7b5e-7cc1-9d6f-2f6b8a5c4d3e"


def test_new_id_is_a_version_7_of_this_moment() -> None:
    before_ms = time.time_ns() // 1_000_000
    made = uuid.UUID(new_id())
    assert made.version == 7
    assert made.variant == uuid.RFC_4122
    assert before_ms <= made.int >> 80 <= time.time_ns() // 1_000_000


def test_ids_ascend_and_differ() -> None:
    first = new_id()
    time.sleep(0.001)
    made = [first, *new_ids(1_000)]
    assert made == sorted(made)
    assert len(set(made)) == 1_001


@given(st.uuids())
def test_any_uuid_is_an_id(value: uuid.UUID) -> None:
    assert parse_id(str(value)) == str(value)
    assert parse_id(str(value).upper()) == str(value)


def test_anything_else_is_no_id() -> None:
    for text in (
        *("", "1", "0190f0c87b5e7cc19d6f2f6b8a5c4d3e", "{0190f0c8-7b5e-7cc1-9d6f-2f6b8a5c4d}"),
        *(f"urn:uuid:{ID[:27]}", f"{ID[:-1]}g", f"{ID} ", f"{ID[:8]}{ID[9:]}-", ID.replace("-", "_")),
        *(f"\u0660{ID[1:]}", f"{ID[:-1]}\0"),
    ):
        assert parse_id(text) is None


@given(st.text(max_size=60))
def test_hostile_text_never_raises(text: str) -> None:
    assert parse_id(text) in {None, text.lower()}
