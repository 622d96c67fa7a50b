"""Resolvers that are called once with all their parents."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Sequence
from functools import wraps
from typing import Any, ClassVar, Final, TypeVar, cast
from weakref import WeakKeyDictionary

from graphql import GraphQLResolveInfo
from strawberry import Info

Resolve = TypeVar("Resolve", bound=Callable[..., Any])
_MARK: Final = "__engine_batched__"


class Parents(list[Any]):
    """The parents that a batched resolver is called with by this engine: several where others hand one over."""


class BatchError(ValueError):
    """A batched resolver did not return one value for each of its parents."""


def batched(resolve: Resolve) -> Resolve:
    """Declare a resolver that is called once with all its parents.

    It is given the list of them as its first argument and returns a list with a value, or an exception, for each, in
    their order. An executor that calls it for one parent at a time works too: what it asks for at the same time is
    gathered into one call.
    """
    signature = inspect.signature(resolve)
    first = next(iter(signature.parameters))

    def call(*positional: Any, **named: Any) -> Any:
        if isinstance(positional[0] if positional else named[first], Parents):
            return resolve(*positional, **named)
        return _Gathering.join(resolve, signature.bind(*positional, **named), first)

    if inspect.iscoroutinefunction(resolve):

        async def call_async(*positional: Any, **named: Any) -> Any:
            answer = call(*positional, **named)
            return await answer if inspect.isawaitable(answer) else answer

        wrapper = wraps(resolve)(call_async)
    else:
        wrapper = wraps(resolve)(call)
    # What wraps it in turn is marked too, by `functools.wraps`.
    setattr(wrapper, _MARK, (wrapper, resolve))
    return cast("Resolve", wrapper)


def is_batched(resolve: Any) -> bool:
    """Tell whether a resolver is declared to be called with all its parents."""
    return getattr(resolve, _MARK, None) is not None


def unbatched(resolve: Callable[..., Any]) -> Callable[..., Any]:
    """Return the function itself of a batched resolver that nothing else is wrapped around; others as they are."""
    wrapper, function = getattr(resolve, _MARK, (None, None))
    return function if function is not None and wrapper is resolve else resolve


def spread(answer: Any, count: int, name: str) -> list[Any]:
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


class _Gathering:
    """Calls of one field by an executor that makes one for each parent, gathered."""

    pending: ClassVar["WeakKeyDictionary[asyncio.AbstractEventLoop, dict[Any, list[_Gathering]]]"] = WeakKeyDictionary()

    def __init__(
        self, resolve: Callable[..., Any], bound: inspect.BoundArguments, first: str, arguments: dict[str, Any]
    ) -> None:
        self._resolve = resolve
        self._bound = bound
        self._first = first
        self.arguments = arguments
        self._parents = Parents()
        self._futures: list[asyncio.Future[Any]] = []
        self._given_up = 0
        # Held, or the loop might lose it.
        self._task: asyncio.Future[None] | None = None

    @classmethod
    def join(cls, resolve: Callable[..., Any], bound: inspect.BoundArguments, first: str) -> Any:
        """Return what will be the value of a parent."""
        parent = bound.arguments[first]
        info = _raw_info(bound)
        if info is None or not inspect.iscoroutinefunction(resolve):
            bound.arguments[first] = Parents([parent])
            return _only(resolve(*bound.args, **bound.kwargs), _name(resolve, info))
        loop = asyncio.get_running_loop()
        gatherings = cls.pending.setdefault(loop, {})
        # What belongs together is the same field of the same execution, if an extension has left its arguments alone.
        key = (resolve, id(info.variable_values), *map(id, info.field_nodes))
        arguments = {name: value for name, value in bound.arguments.items() if name != first and not _is_info(value)}
        known = gatherings.setdefault(key, [])
        gathering = next((each for each in known if each.arguments == arguments), None)
        if gathering is None:
            gathering = cls(resolve, bound, first, arguments)
            known.append(gathering)
            loop.call_soon(gathering.start, gatherings, key)
        future = loop.create_future()
        future.add_done_callback(gathering.leave)
        gathering._parents.append(parent)
        gathering._futures.append(future)
        return future

    def start(self, gatherings: dict[Any, list["_Gathering"]], key: Any) -> None:
        """Call the resolver with all that have joined."""
        gatherings.pop(key, None)
        if self._given_up < len(self._futures):
            self._task = asyncio.ensure_future(self._run())

    def leave(self, future: asyncio.Future[Any]) -> None:
        """End the call when nobody waits for it any more."""
        self._given_up += future.cancelled()
        if self._task is not None and self._given_up == len(self._futures):
            self._task.cancel()

    async def _run(self) -> None:
        self._bound.arguments[self._first] = self._parents
        name = _name(self._resolve, _raw_info(self._bound))
        answer: Any
        try:
            answer = await self._resolve(*self._bound.args, **self._bound.kwargs)
        except Exception as error:  # noqa: BLE001 - it is the error of every field that has joined
            answer = error
        except BaseException:
            for future in self._futures:
                future.cancel()
            raise
        for future, value in zip(self._futures, spread(answer, len(self._futures), name), strict=True):
            if future.done():
                continue
            if isinstance(value, Exception):
                future.set_exception(value)
            else:
                future.set_result(value)


def _only(answer: Any, name: str) -> Any:
    """Return the value of the only parent."""
    if inspect.isawaitable(answer):
        return _only_later(answer, name)
    value = spread(answer, 1, name)[0]
    if isinstance(value, Exception):
        raise value
    return value


async def _only_later(answer: Awaitable[Any], name: str) -> Any:
    return _only(await answer, name)


def _name(resolve: Callable[..., Any], info: GraphQLResolveInfo[Any] | None) -> str:
    return getattr(resolve, "__qualname__", repr(resolve)) if info is None else f"{info.parent_type}.{info.field_name}"


def _is_info(value: Any) -> bool:
    return isinstance(value, Info | GraphQLResolveInfo)


def _raw_info(bound: inspect.BoundArguments) -> GraphQLResolveInfo[Any] | None:
    for value in (*bound.args, *bound.kwargs.values()):
        if isinstance(value, GraphQLResolveInfo):
            return value
        if isinstance(value, Info):
            return value._raw_info  # noqa: SLF001 - Strawberry offers no other way to the nodes
    return None
