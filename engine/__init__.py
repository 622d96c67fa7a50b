"""Executes GraphQL breadth first: each field once for all objects of its level."""

from engine.batching import BatchError, batched
from engine.plan import Plan
from engine.selected import Selected, selected
from engine.values import as_is

__all__ = [
    "BatchError",
    "Plan",
    "Selected",
    "as_is",
    "batched",
    "selected",
]
