"""Executes GraphQL breadth first: each field once for all objects of its level."""

from engine.batching import BatchError, batched
from engine.plan import Plan
from engine.selected import PlainField, Selected, selected
from engine.values import Written, as_is

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
