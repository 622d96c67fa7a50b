"""The LRU cache."""

from core.cache import LRUCache


def test_cache_evicts_the_least_recently_used_beyond_its_bytes() -> None:
    cache = LRUCache[str, int]("numbers", max_bytes=30)
    for number, name in enumerate("abc", start=1):
        cache.put(name, number, 10)
    assert cache.get("a") == 1
    assert cache.put("d", 4, 15) == [("b", 2), ("c", 3)]
    assert (cache.get("b"), cache.get("c"), cache.get("d")) == (None, None, 4)
    assert (len(cache), cache.size_bytes, cache.evictions) == (2, 25, 2)
    assert (cache.hits, cache.misses) == (2, 2)
    # What is larger than the cache is not kept.
    cache.put("e", 5, 31)
    assert ("a" in cache, "e" in cache) == (True, False)
    cache.clear()
    assert (len(cache), cache.size_bytes) == (0, 0)


def test_cache_replaces_a_value_and_its_size() -> None:
    cache = LRUCache[str, int]("numbers", max_bytes=30)
    cache.put("a", 1, 30)
    assert cache.put("a", 2, 5) == []
    assert (cache.get("a"), cache.size_bytes) == (2, 5)
    assert (cache.pop("a"), cache.pop("a")) == (2, None)
    assert ("a" in cache, cache.size_bytes) == (False, 0)
