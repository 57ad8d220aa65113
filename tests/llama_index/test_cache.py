"""An embeddings cache with a prefix before every key."""

from __future__ import annotations

import asyncio

from llama_index.core.storage.kvstore import SimpleKVStore

from jina_v3_connectors.llama_index.cache import RoleCache

VALUE = {"embedding": [1.0]}


def test_what_is_put_under_one_prefix_is_not_found_under_another() -> None:
    prefix = "a"
    store = SimpleKVStore()
    cache = RoleCache(store, lambda: prefix)
    cache.put("key", VALUE, "c")
    assert cache.get("key", "c") == VALUE
    prefix = "b"
    assert cache.get("key", "c") is None
    assert store.get("a|key", "c") == VALUE
    assert store.get("key", "c") is None


def test_deleting_is_within_the_prefix() -> None:
    prefix = "a"
    cache = RoleCache(SimpleKVStore(), lambda: prefix)
    cache.put("key", VALUE)
    prefix = "b"
    assert not cache.delete("key")
    prefix = "a"
    assert cache.delete("key")
    assert cache.get("key") is None


def test_collections_stay_apart() -> None:
    cache = RoleCache(SimpleKVStore(), lambda: "a")
    cache.put("key", VALUE, "one")
    assert cache.get("key", "two") is None
    assert cache.get_all("one") == {"a|key": VALUE}


def test_async_methods_do_the_same() -> None:
    prefix = "a"
    cache = RoleCache(SimpleKVStore(), lambda: prefix)

    async def run() -> None:
        nonlocal prefix
        await cache.aput("key", VALUE, "c")
        assert await cache.aget("key", "c") == VALUE
        assert await cache.aget_all("c") == {"a|key": VALUE}
        prefix = "b"
        assert await cache.aget("key", "c") is None
        assert not await cache.adelete("key", "c")
        prefix = "a"
        assert await cache.adelete("key", "c")
        assert cache.get("key", "c") is None

    asyncio.run(run())
