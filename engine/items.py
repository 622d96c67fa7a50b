"""Takes the items out of whatever stands for a list."""

from collections.abc import AsyncIterable, Iterable
from contextlib import suppress
from typing import Any

from graphql.pyutils import is_awaitable


class Taken(list[Any]):
    """Items, and the error that ended them."""

    error: Exception | None = None


def take_items(iterable: Iterable[Any]) -> Taken:
    """Return the items of an iterable."""
    items = Taken()
    try:
        items.extend(iterable)
    except Exception as error:  # noqa: BLE001 - it is the error of the field
        items.error = error
    return items


async def gather_items(iterable: AsyncIterable[Any]) -> Taken:
    """Return the items of an asynchronous iterable."""
    items = Taken()
    iterator = aiter(iterable)
    try:
        async for item in iterator:
            items.append(item)
    except Exception as error:  # noqa: BLE001 - it is the error of the field
        items.error = error
        with suppress(Exception):
            closing = iterator.aclose()  # type: ignore[attr-defined]
            if is_awaitable(closing):
                await closing
    return items
