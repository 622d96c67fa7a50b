"""Executes GraphQL breadth first: each field once for all objects of its level."""

from engine.batching import batched
from engine.leaves import as_is
from engine.plan import Plan, compile, execute  # noqa: A004 - read as `engine.compile`
from engine.selected import Selected, selected
from engine.spread import BatchError
from engine.subscription import subscribe

__all__ = ["BatchError", "Plan", "Selected", "as_is", "batched", "compile", "execute", "selected", "subscribe"]
