"""LRU cache bounded in bytes, with the counts that /metrics shows."""

from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class LRUCache(Generic[Key, Value]):
    """Keep the most recently used values, as many as fit into `max_bytes` by the sizes that their callers state."""

    def __init__(self, name: str, *, max_bytes: int) -> None:
        self.name = name
        self.max_bytes = max_bytes
        self.size_bytes = 0
        self.hits = 0
        self.misses = 0
        self.evictions = 0
        self._entries: OrderedDict[Key, tuple[Value, int]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, key: object) -> bool:
        """Tell whether there is a value for the key; this is no use of it."""
        return key in self._entries

    def get(self, key: Key) -> Value | None:
        """Return the value of a key and mark it as used; None where there is none."""
        entry = self._entries.get(key)
        if entry is None:
            self.misses += 1
            return None
        self.hits += 1
        self._entries.move_to_end(key)
        return entry[0]

    def put(self, key: Key, value: Value, size_bytes: int) -> list[tuple[Key, Value]]:
        """Keep a value and return the entries evicted for it; a value larger than the whole cache is not kept."""
        self.pop(key)
        if size_bytes > self.max_bytes:
            return []
        self._entries[key] = (value, size_bytes)
        self.size_bytes += size_bytes
        evicted = []
        while self.size_bytes > self.max_bytes:
            oldest_key, (oldest, oldest_bytes) = self._entries.popitem(last=False)
            self.size_bytes -= oldest_bytes
            self.evictions += 1
            evicted.append((oldest_key, oldest))
        return evicted

    def grow(self, key: Key, added_bytes: int) -> None:
        """Count more bytes for the value of a key, where there is one."""
        if key in self._entries:
            value, size_bytes = self._entries[key]
            self.put(key, value, size_bytes + added_bytes)

    def pop(self, key: Key) -> Value | None:
        """Remove a key and return its value; None where there is none."""
        value, size_bytes = self._entries.pop(key, (None, 0))
        self.size_bytes -= size_bytes
        return value

    def clear(self) -> None:
        """Remove every key."""
        self._entries.clear()
        self.size_bytes = 0
