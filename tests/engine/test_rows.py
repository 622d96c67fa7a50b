"""What makes rows is kept for keys that may come again, and not for those that take much memory."""

import gc
from weakref import ref

import pytest

from engine.rows import row_maker


@pytest.mark.parametrize("keys", [("name",), ("name", "__typename", "a" * 60)])
def test_keys_as_clients_send_them(keys: tuple[str, ...]) -> None:
    make = row_maker(keys)
    assert make(*([key, None] for key in keys)) == [{key: key for key in keys}, dict.fromkeys(keys)]
    assert row_maker(tuple(keys)) is make


@pytest.mark.parametrize("keys", [("a" * 200_000,), tuple(f"{number}{'a' * 60}" for number in range(90))])
def test_long_keys(keys: tuple[str, ...]) -> None:
    make = row_maker(keys)
    assert make(*([key] for key in keys)) == [{key: key for key in keys}]
    known = ref(make)
    del make
    gc.collect()
    assert known() is None
