"""What makes rows is kept for keys that may come again, and not for those that take much memory."""

import gc
from typing import Any
from weakref import ref

import pytest

from engine.rows import lone_row_maker, row_maker


@pytest.mark.parametrize("keys", [("name",), ("name", "__typename", "a" * 60)])
def test_keys_as_clients_send_them(keys: tuple[str, ...]) -> None:
    make = row_maker(keys)
    assert make(*([key, None] for key in keys)) == [{key: key for key in keys}, dict.fromkeys(keys)]
    assert row_maker(tuple(keys)) is make
    make_lone = lone_row_maker(keys, keys[:1])
    assert list(make_lone(1).items()) == [(key, 1 if key == keys[0] else None) for key in keys]
    assert lone_row_maker(tuple(keys), tuple(keys[:1])) is make_lone


@pytest.mark.parametrize("keys", [("a" * 200_000,), tuple(f"{number}{'a' * 60}" for number in range(90))])
def test_long_keys(keys: tuple[str, ...]) -> None:
    make = row_maker(keys)
    assert make(*([key] for key in keys)) == [{key: key for key in keys}]
    make_lone = lone_row_maker(keys, keys)
    assert make_lone(*keys) == {key: key for key in keys}
    known: list[ref[Any]] = [ref(make), ref(make_lone)]
    del make, make_lone
    gc.collect()
    assert [each() for each in known] == [None, None]
