"""The public keys of a remote token server: fetched, kept while it is away, and given up after a day."""

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Any, Final

import httpx
import orjson
from jose import jwk

from core.ed25519 import Ed25519Key
from core.tokens import VerificationKey

REFRESH_AFTER_S: Final = 600.0
REFETCH_AFTER_S: Final = 60.0
GIVE_UP_AFTER_S: Final = 24 * 3600.0

_FIRST_RETRY_AFTER_S: Final = 5.0
_FETCH_TIMEOUT_S: Final = 5.0
_MOST_BYTES: Final = 256 * 1024
_MOST_KEYS: Final = 100
_MOST_KEY_ID_LENGTH: Final = 255
_RSA_BITS: Final = range(2048, 8193)
_ALGORITHM_OF: Final = {("OKP", "Ed25519"): "EdDSA", ("EC", "P-256"): "ES256", ("RSA", None): "RS256"}

jwk.register_key("EdDSA", Ed25519Key)

_log = logging.getLogger(__name__)


class KeySetError(Exception):
    """The remote key set cannot be read."""


class RemoteKeySet:
    """The keys at an address, by their ids."""

    def __init__(self, url: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._url = url
        self._clock = clock
        # Encoded answers are not asked for: a few bytes of them could swell beyond any bound.
        self._client = httpx.AsyncClient(
            timeout=_FETCH_TIMEOUT_S, follow_redirects=False, headers={"accept-encoding": "identity"}
        )
        self._keys: dict[str, VerificationKey] = {}
        self._fetched_at = self._tried_at = float("-inf")
        self._fetching: asyncio.Task[None] | None = None

    async def key(self, key_id: str) -> VerificationKey | None:
        """Return the key of that id, if the server publishes it or did when last it answered."""
        if self._is_due(key_id):
            await self._fetch_once()
        return self._keys.get(key_id) if self._age_s() < GIVE_UP_AFTER_S else None

    def _age_s(self) -> float:
        return self._clock() - self._fetched_at

    def _is_due(self, key_id: str) -> bool:
        if self._fetching is not None:
            return key_id not in self._keys or self._age_s() >= REFRESH_AFTER_S
        rested_s = self._clock() - self._tried_at
        if self._age_s() >= GIVE_UP_AFTER_S:
            return rested_s >= _FIRST_RETRY_AFTER_S
        return rested_s >= REFETCH_AFTER_S and (key_id not in self._keys or self._age_s() >= REFRESH_AFTER_S)

    async def _fetch_once(self) -> None:
        """Fetch the set; whoever asks meanwhile waits for the same answer, and none can cancel it for the others."""
        if self._fetching is None:
            self._tried_at = self._clock()
            self._fetching = asyncio.create_task(self._fetch())
        await asyncio.shield(self._fetching)

    async def _fetch(self) -> None:
        try:
            self._keys = _read_key_set(await self._download())
            self._fetched_at = self._clock()
        except (KeySetError, httpx.HTTPError, OSError) as error:
            _log.warning("The key set at %s cannot be read: %s", self._url, str(error) or type(error).__name__)
        finally:
            self._fetching = None

    async def _download(self) -> bytes:
        content = bytearray()
        async with asyncio.timeout(_FETCH_TIMEOUT_S), self._client.stream("GET", self._url) as response:
            if response.status_code != httpx.codes.OK:
                raise KeySetError(f"it answers with status {response.status_code}")
            async for chunk in response.aiter_raw():
                content += chunk
                if len(content) > _MOST_BYTES:
                    raise KeySetError(f"it is larger than {_MOST_BYTES} bytes")
        return bytes(content)

    async def close(self) -> None:
        """Stop fetching and close the connections."""
        if self._fetching is not None:
            self._fetching.cancel()
        await self._client.aclose()


def _read_key_set(content: bytes) -> dict[str, VerificationKey]:
    try:
        listed = orjson.loads(content)["keys"]
    except (ValueError, KeyError, TypeError):
        raise KeySetError("it is no JSON object with keys") from None
    if not isinstance(listed, list):
        raise KeySetError("its keys are no list")
    keys: dict[str, VerificationKey] = {}
    for position, entry in enumerate(listed[:_MOST_KEYS]):
        try:
            key_id, key = _read_key(entry)
        except Exception as error:  # noqa: BLE001 - one bad key, however bad, must not spoil the others
            _log.warning("Key %d of the key set is passed over: %s", position, type(error).__name__)
        else:
            keys.setdefault(key_id, key)
    return keys


def _read_key(entry: Any) -> tuple[str, VerificationKey]:
    key_id = entry["kid"]
    algorithm = _ALGORITHM_OF[entry["kty"], entry.get("crv")]
    if not isinstance(key_id, str) or not 1 <= len(key_id) <= _MOST_KEY_ID_LENGTH:
        raise ValueError("the key's id is missing")
    if entry.get("alg", algorithm) != algorithm or entry.get("use", "sig") != "sig" or "d" in entry:
        raise ValueError("the key is not meant for checking signatures")
    if "verify" not in entry.get("key_ops", ["verify"]):
        raise ValueError("the key is not meant for checking signatures")
    key = jwk.construct(entry, algorithm)
    if algorithm == "RS256" and key.prepared_key.key_size not in _RSA_BITS:  # type: ignore[attr-defined]
        raise ValueError("the key's size is out of bounds")
    return key_id, VerificationKey(algorithm, key)
