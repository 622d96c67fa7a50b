"""Remote JSON Web Key Sets: fetched, refreshed, and kept for up to a day while their server is unavailable."""

import asyncio
import logging
import time
from base64 import urlsafe_b64decode
from collections.abc import Callable
from typing import Any, Final

import httpx2
import orjson
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from jose import jwk
from jose.backends.base import Key
from jose.exceptions import JWKError

from core.tokens import VerificationKey

REFRESH_AFTER_S: Final = 600.0
REFETCH_AFTER_S: Final = 60.0
GIVE_UP_AFTER_S: Final = 24 * 3600.0

_FIRST_RETRY_AFTER_S: Final = 5.0
_FETCH_TIMEOUT_S: Final = 5.0
_MAX_BYTES: Final = 256 * 1024
_MAX_KEYS: Final = 100
_MAX_KEY_ID_LENGTH: Final = 255
_RSA_BITS: Final = range(2048, 8193)
_ALGORITHM_OF: Final = {("OKP", "Ed25519"): "EdDSA", ("EC", "P-256"): "ES256", ("RSA", None): "RS256"}

_log = logging.getLogger(__name__)


class Ed25519Key(Key):
    """Ed25519 public key read from a JWK, for python-jose's extension point `jwk.register_key`; it only verifies."""

    def __init__(self, key: dict[str, Any], algorithm: str) -> None:
        super().__init__(key, algorithm)
        if algorithm != "EdDSA" or key.get("kty") != "OKP" or key.get("crv") != "Ed25519":
            raise JWKError("an Ed25519 key has kty OKP, crv Ed25519 and alg EdDSA")
        encoded: str = key["x"]
        self._public_key = Ed25519PublicKey.from_public_bytes(urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)))

    def verify(self, msg: bytes, sig: bytes) -> bool:
        """Return whether the signature of the message is valid."""
        try:
            self._public_key.verify(sig, msg)
        except InvalidSignature:
            return False
        return True


jwk.register_key("EdDSA", Ed25519Key)


class KeySetError(Exception):
    """The remote key set cannot be read."""


class RemoteKeySet:
    """JSON Web Key Set at a URL: keys by id, fetched when first needed and refreshed every ten minutes.

    An unknown key id causes at most one request a minute, however many tokens name it.
    """

    def __init__(self, url: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._url = url
        self._clock = clock
        # No compressed responses: a few bytes could decompress beyond any bound.
        self._client = httpx2.AsyncClient(
            timeout=_FETCH_TIMEOUT_S, follow_redirects=False, headers={"accept-encoding": "identity"}
        )
        self._keys: dict[str, VerificationKey] = {}
        self._fetched_at = self._tried_at = float("-inf")
        self._fetching: asyncio.Task[None] | None = None

    async def key(self, key_id: str) -> VerificationKey | None:
        """Return the key with that id, if the last key set that could be fetched contains it."""
        if self._is_due(key_id):
            await self._fetch_once()
        return self._keys.get(key_id) if self._age_s() < GIVE_UP_AFTER_S else None

    def _age_s(self) -> float:
        return self._clock() - self._fetched_at

    def _is_due(self, key_id: str) -> bool:
        if self._fetching is not None:
            return key_id not in self._keys or self._age_s() >= REFRESH_AFTER_S
        since_last_try_s = self._clock() - self._tried_at
        if self._age_s() >= GIVE_UP_AFTER_S:
            return since_last_try_s >= _FIRST_RETRY_AFTER_S
        return since_last_try_s >= REFETCH_AFTER_S and (key_id not in self._keys or self._age_s() >= REFRESH_AFTER_S)

    async def _fetch_once(self) -> None:
        """Fetch the key set, or await the fetch in progress; a cancelled waiter does not cancel it for the others."""
        if self._fetching is None:
            self._tried_at = self._clock()
            self._fetching = asyncio.create_task(self._fetch())
        await asyncio.shield(self._fetching)

    async def _fetch(self) -> None:
        try:
            self._keys = _read_key_set(await self._download())
            self._fetched_at = self._clock()
        except (KeySetError, httpx2.HTTPError, OSError) as error:
            _log.warning("The key set at %s cannot be read: %s", self._url, str(error) or type(error).__name__)
        finally:
            self._fetching = None

    async def _download(self) -> bytes:
        content = bytearray()
        async with asyncio.timeout(_FETCH_TIMEOUT_S), self._client.stream("GET", self._url) as response:
            if response.status_code != httpx2.codes.OK:
                raise KeySetError(f"it answers with status {response.status_code}")
            async for chunk in response.aiter_raw():
                content += chunk
                if len(content) > _MAX_BYTES:
                    raise KeySetError(f"it is larger than {_MAX_BYTES} bytes")
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
    for position, entry in enumerate(listed[:_MAX_KEYS]):
        try:
            key_id, key = _read_key(entry)
        except Exception as error:  # noqa: BLE001 - one bad key, however bad, must not affect the others
            _log.warning("Key %d of the key set is passed over: %s", position, type(error).__name__)
        else:
            keys.setdefault(key_id, key)
    return keys


def _read_key(entry: Any) -> tuple[str, VerificationKey]:
    key_id = entry["kid"]
    algorithm = _ALGORITHM_OF[entry["kty"], entry.get("crv")]
    if not isinstance(key_id, str) or not 1 <= len(key_id) <= _MAX_KEY_ID_LENGTH:
        raise ValueError("the key's id is missing")
    if entry.get("alg", algorithm) != algorithm or entry.get("use", "sig") != "sig" or "d" in entry:
        raise ValueError("the key is not meant for checking signatures")
    if "verify" not in entry.get("key_ops", ["verify"]):
        raise ValueError("the key is not meant for checking signatures")
    key = jwk.construct(entry, algorithm)
    if algorithm == "RS256" and key.prepared_key.key_size not in _RSA_BITS:  # type: ignore[attr-defined]
        raise ValueError("the key's size is out of bounds")
    return key_id, VerificationKey(algorithm, key)
