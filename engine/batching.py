"""Resolvers that are called once with all their parents."""

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Any, Final, TypeVar, cast

from engine.gathering import Call, call_for_one
from engine.spread import Parents

Resolve = TypeVar("Resolve", bound=Callable[..., Any])
_MARK: Final = "__engine_batched__"


def batched(resolve: Resolve) -> Resolve:
    """Declare a resolver that is called once with all its parents.

    It is given the list of them as its first argument and returns a list with a value, or an exception, for each, in
    their order. An executor that calls it for one parent at a time works too: what it asks for at the same time is
    gathered into one call.
    """
    first = next(iter(inspect.signature(resolve).parameters))

    def call(*positional: Any, **named: Any) -> Any:
        if isinstance(positional[0] if positional else named[first], Parents):
            return resolve(*positional, **named)
        return call_for_one(Call(resolve, first, positional, named))

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
