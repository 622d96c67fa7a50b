"""Gathers the calls of a batched resolver by an executor that makes one for each parent."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, ClassVar, Final, NamedTuple
from weakref import WeakKeyDictionary

from graphql import GraphQLResolveInfo
from strawberry import Info

from engine.spread import spread

_INFOS: Final = (Info, GraphQLResolveInfo)


class Call(NamedTuple):
    """A call for one parent."""

    resolve: Callable[..., Any]
    # What the parameter of the parents is called, where they are not the first of all arguments.
    first: str
    positional: tuple[Any, ...]
    named: dict[str, Any]

    def parent(self) -> Any:
        """Return whom the call is for."""
        return self.positional[0] if self.positional else self.named[self.first]

    def info(self) -> GraphQLResolveInfo[Any] | None:
        """Return what graphql-core tells the resolver."""
        for value in (*self.positional[1:], *self.named.values()):
            if isinstance(value, GraphQLResolveInfo):
                return value
            if isinstance(value, Info):
                return value._raw_info  # noqa: SLF001 - Strawberry offers no other way to the nodes
        return None

    def arguments(self) -> tuple[list[Any], dict[str, Any]]:
        """Return the arguments besides the parent and the info."""
        positional = [value for value in self.positional[1:] if not isinstance(value, _INFOS)]
        first = self.first
        return positional, {
            name: value for name, value in self.named.items() if name != first and not isinstance(value, _INFOS)
        }

    def answer(self, parents: list[Any]) -> Any:
        """Call the resolver for these parents."""
        if self.positional:
            return self.resolve(parents, *self.positional[1:], **self.named)
        return self.resolve(**{**self.named, self.first: parents})

    def name(self) -> str:
        """Return what errors call the resolver."""
        info = self.info()
        if info is not None:
            return f"{info.parent_type}.{info.field_name}"
        return getattr(self.resolve, "__qualname__", repr(self.resolve))


class Gathering:
    """Calls of one field with the same arguments."""

    pending: ClassVar["WeakKeyDictionary[asyncio.AbstractEventLoop, dict[Any, list[Gathering]]]"] = WeakKeyDictionary()

    def __init__(self, call: Call, arguments: tuple[list[Any], dict[str, Any]], forget: Callable[[], object]) -> None:
        self._call = call
        self.arguments = arguments
        # Lets nobody join any more.
        self._forget = forget
        self._parents: list[Any] = []
        self._futures: list[asyncio.Future[Any]] = []
        self._given_up = 0
        # Held, or the loop might lose it.
        self._task: asyncio.Future[None] | None = None

    @classmethod
    def of(cls, call: Call, info: GraphQLResolveInfo[Any]) -> "Gathering":
        """Return the calls that a call belongs to."""
        loop = asyncio.get_running_loop()
        gatherings = cls.pending.get(loop)
        if gatherings is None:
            gatherings = cls.pending[loop] = {}
        # What belongs together is the same field of the same execution, if an extension has left its arguments alone.
        key = (call.resolve, id(info.variable_values), *map(id, info.field_nodes))
        known = gatherings.setdefault(key, [])
        arguments = call.arguments()
        for gathering in known:
            if gathering.arguments == arguments:
                return gathering
        gathering = cls(call, arguments, partial(gatherings.pop, key, None))
        known.append(gathering)
        loop.call_soon(gathering.start)
        return gathering

    def join(self, parent: Any) -> Awaitable[Any]:
        """Return what will be the value of a parent."""
        future = asyncio.get_running_loop().create_future()
        future.add_done_callback(self._leave)
        self._parents.append(parent)
        self._futures.append(future)
        return future

    def start(self) -> None:
        """Call the resolver with all that will have joined when the loop comes to it: as a loader does."""
        self._task = asyncio.ensure_future(self._run())
        self._end_if_given_up()

    def _leave(self, future: asyncio.Future[Any]) -> None:
        self._given_up += future.cancelled()
        self._end_if_given_up()

    def _end_if_given_up(self) -> None:
        if self._task is not None and self._given_up == len(self._futures):
            self._forget()
            self._task.cancel()

    async def _run(self) -> None:
        self._forget()
        answer: Any
        try:
            answer = await self._call.answer(self._parents)
        except Exception as error:  # noqa: BLE001 - it is the error of every field that has joined
            answer = error
        except BaseException:
            for future in self._futures:
                future.cancel()
            raise
        for future, value in zip(self._futures, spread(answer, len(self._futures), self._call.name()), strict=True):
            if future.done():
                continue
            if isinstance(value, Exception):
                future.set_exception(value)
            else:
                future.set_result(value)


def call_for_one(call: Call) -> Any:
    """Return the value of a parent, or what it can be awaited of: together with those of others, where it can."""
    info = call.info()
    if info is None or not inspect.iscoroutinefunction(call.resolve):
        return _only(call, call.answer([call.parent()]))
    return Gathering.of(call, info).join(call.parent())


def _only(call: Call, answer: Any) -> Any:
    """Return the value of the only parent."""
    if inspect.isawaitable(answer):
        return _only_later(call, answer)
    value = spread(answer, 1, call.name())[0]
    if isinstance(value, Exception):
        raise value
    return value


async def _only_later(call: Call, answer: Awaitable[Any]) -> Any:
    return _only(call, await answer)
