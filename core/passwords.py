"""Password hashes: Argon2, away from the event loop and a few at a time."""

import asyncio
import os
import secrets
from base64 import b64encode
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Final, ParamSpec, TypeVar

from pwdlib import PasswordHash
from pwdlib.exceptions import UnknownHashError
from pwdlib.hashers.argon2 import Argon2Hasher

from core.errors import UnavailableError

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")

LEAST_PASSWORD_LENGTH: Final = 8
MOST_PASSWORD_LENGTH: Final = 1024

_SALT_BYTES: Final = 16
_DIGEST_BYTES: Final = 32
# Each hash takes 64 MiB while it is made.
_MOST_AT_ONCE: Final = 4
_MOST_WAITING: Final = 128


@dataclass(frozen=True, slots=True)
class PasswordCheck:
    """Whether the password was right; `replacement` is a new hash where the kept one has outdated parameters."""

    matches: bool
    replacement: str | None = field(default=None, repr=False)


class Passwords:
    """Hashes and checks passwords in a few threads of its own, so that memory stays bounded."""

    def __init__(self, *, time_cost: int = 3, memory_cost: int = 64 * 1024, parallelism: int = 4) -> None:
        hasher = Argon2Hasher(time_cost, memory_cost, parallelism, _DIGEST_BYTES, _SALT_BYTES)
        self._hashes = PasswordHash((hasher,))
        self._hash_of_nobody = (
            f"$argon2id$v=19$m={memory_cost},t={time_cost},p={parallelism}"
            f"${_encoded_random(_SALT_BYTES)}${_encoded_random(_DIGEST_BYTES)}"
        )
        self._threads = ThreadPoolExecutor(min(_MOST_AT_ONCE, os.cpu_count() or 1), thread_name_prefix="argon2")
        self._waiting = 0

    async def hash(self, password: str) -> str:
        """Return a hash to keep."""
        return await self._in_thread(self._hashes.hash, password)

    async def verify(self, password: str, kept_hash: str | None) -> PasswordCheck:
        """Check a password; where no hash is kept, take the same time to say no."""
        return await self._in_thread(self._verify, password, kept_hash)

    def _verify(self, password: str, kept_hash: str | None) -> PasswordCheck:
        try:
            matches, replacement = self._hashes.verify_and_update(password, kept_hash or self._hash_of_nobody)
        except UnknownHashError:
            self._hashes.verify(password, self._hash_of_nobody)
            return PasswordCheck(matches=False)
        return PasswordCheck(matches and kept_hash is not None, replacement)

    async def _in_thread(
        self, work: Callable[Arguments, Result], *args: Arguments.args, **kwargs: Arguments.kwargs
    ) -> Result:
        if self._waiting >= _MOST_WAITING:
            raise UnavailableError("Too many passwords are being checked at once. Try again shortly.")
        self._waiting += 1
        try:
            return await asyncio.wrap_future(self._threads.submit(work, *args, **kwargs))
        finally:
            self._waiting -= 1

    def close(self) -> None:
        """Let go of the threads; what waits for one is cancelled."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def _encoded_random(size: int) -> str:
    return b64encode(secrets.token_bytes(size)).decode().rstrip("=")
