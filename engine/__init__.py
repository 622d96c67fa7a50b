"""Executes GraphQL breadth first: each field once for all objects of its level."""

from engine.batching import batched
from engine.leaves import as_is
from engine.plan import Plan
from engine.selected import PlainField, Selected, selected
from engine.spread import BatchError
from engine.written import Written

__all__ = [
    "BatchError",
    "PlainField",
    "Plan",
    "Selected",
    "Written",
    "as_is",
    "batched",
    "selected",
]
