"""Resolvers that are called once with all their parents."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Sequence
from functools import wraps
from typing import Any, Final, NamedTuple, TypeVar, cast

from graphql import GraphQLResolveInfo
from strawberry import Info
from strawberry.dataloader import DataLoader

Resolve = TypeVar("Resolve", bound=Callable[..., Any])
_MARK: Final = "__engine_batched__"
_INFOS: Final = (Info, GraphQLResolveInfo)
_Arguments = tuple[list[Any], dict[str, Any]]

# The loaders of calls that have not begun, by their field and its execution.
_pending_loaders: dict[tuple[Any, ...], list[tuple[_Arguments, DataLoader[Any, Any]]]] = {}


class Parents(list[Any]):
    """All parents of a level, as this engine calls a batched resolver; other executors give one parent."""


class BatchError(ValueError):
    """A batched resolver did not return one value for each of its parents."""


def distribute_results(answer: Any, count: int, name: str) -> list[Any]:
    """Return one value for each parent; an error for each where there are not as many."""
    if isinstance(answer, Exception):
        return [answer] * count
    if isinstance(answer, str | bytes) or not isinstance(answer, Sequence):
        kind = type(answer).__name__
        return [BatchError(f"The batched resolver of {name} returned {kind}; return a list.")] * count
    if len(answer) != count:
        message = (
            f"The batched resolver of {name} returned {len(answer)} values for {count} parents;"
            " return one for each, in their order."
        )
        return [BatchError(message)] * count
    return list(answer)


def batched(resolve: Resolve) -> Resolve:
    """Declare a resolver that is called once with all its parents.

    It is given the list of them as its first argument and returns a list with a value, or an exception, for each, in
    their order. An executor that calls it for one parent at a time works too: the calls of one field with the same
    arguments are made one by a DataLoader.
    """
    first = next(iter(inspect.signature(resolve).parameters))

    def call(*positional: Any, **named: Any) -> Any:
        if isinstance(positional[0] if positional else named[first], Parents):
            return resolve(*positional, **named)
        return _call_for_one(_Call(resolve, first, positional, named))

    if inspect.iscoroutinefunction(resolve):

        async def call_async(*positional: Any, **named: Any) -> Any:
            return await call(*positional, **named)

        wrapper = wraps(resolve)(call_async)
    else:
        wrapper = wraps(resolve)(call)
    # `functools.wraps` copies the mark to what is wrapped around it in turn.
    setattr(wrapper, _MARK, True)
    return cast("Resolve", wrapper)


def is_batched(resolve: Any) -> bool:
    """Return whether a resolver is declared to be called with all its parents."""
    return getattr(resolve, _MARK, False)


class _Call(NamedTuple):
    """A call for one parent."""

    resolve: Callable[..., Any]
    # The name of the parameter of the parents, where they are not given by position.
    first: str
    positional: tuple[Any, ...]
    named: dict[str, Any]

    def parent(self) -> Any:
        """Return the parent that the call is for."""
        return self.positional[0] if self.positional else self.named[self.first]

    def info(self) -> GraphQLResolveInfo[Any] | None:
        """Return graphql-core's info, if it is one of the arguments."""
        for value in (*self.positional[1:], *self.named.values()):
            if isinstance(value, GraphQLResolveInfo):
                return value
            if isinstance(value, Info):
                return value._raw_info  # noqa: SLF001 - Strawberry offers no other way to the field's nodes
        return None

    def arguments(self) -> _Arguments:
        """Return the arguments besides the parent and the info."""
        positional = [value for value in self.positional[1:] if not isinstance(value, _INFOS)]
        named = {
            name: value for name, value in self.named.items() if name != self.first and not isinstance(value, _INFOS)
        }
        return positional, named

    def resolve_all(self, parents: list[Any]) -> Any:
        """Call the resolver for these parents."""
        if self.positional:
            return self.resolve(parents, *self.positional[1:], **self.named)
        return self.resolve(**{**self.named, self.first: parents})

    def distribute(self, answer: Any, count: int) -> list[Any]:
        """Return one value for each of so many parents."""
        info = self.info()
        name = getattr(self.resolve, "__qualname__", repr(self.resolve))
        return distribute_results(answer, count, name if info is None else f"{info.parent_type}.{info.field_name}")


def _call_for_one(call: _Call) -> Any:
    """Return the value of a parent, or an awaitable of it."""
    info = call.info()
    if info is not None and inspect.iscoroutinefunction(call.resolve):
        return _loader(call, info).load(call.parent())
    answer = call.resolve_all([call.parent()])
    return _only_later(call, answer) if inspect.isawaitable(answer) else _only(call, answer)


def _loader(call: _Call, info: GraphQLResolveInfo[Any]) -> DataLoader[Any, Any]:
    """Return the loader of the calls for the same field of the same execution, with the same arguments."""
    # A field extension may give other arguments to some parents.
    arguments = call.arguments()
    key = (call.resolve, id(info.variable_values), *map(id, info.field_nodes))
    loaders = _pending_loaders.setdefault(key, [])
    for known, loader in loaders:
        if known == arguments:
            return loader

    async def load(parents: list[Any]) -> list[Any]:
        try:
            answer = await call.resolve_all(parents)
        except asyncio.CancelledError as error:
            # A DataLoader passes on what is returned, but would leave its futures pending.
            return [error] * len(parents)
        return call.distribute(answer, len(parents))

    loader = DataLoader(load, cache=False)
    loaders.append((arguments, loader))
    # A DataLoader takes keys for two rounds of the event loop.
    event_loop = asyncio.get_running_loop()
    event_loop.call_soon(lambda: event_loop.call_soon(lambda: _pending_loaders.pop(key, None)))
    return loader


def _only(call: _Call, answer: Any) -> Any:
    """Return the value of the only parent."""
    value = call.distribute(answer, 1)[0]
    if isinstance(value, Exception):
        raise value
    return value


async def _only_later(call: _Call, answer: Awaitable[Any]) -> Any:
    return _only(call, await answer)
