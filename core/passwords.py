"""Password hashing with Argon2, in a bounded thread pool."""

import asyncio
import os
import secrets
import sys
import threading
from base64 import b64encode
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple, ParamSpec, TypeVar

from pwdlib import PasswordHash
from pwdlib.exceptions import UnknownHashError
from pwdlib.hashers.argon2 import Argon2Hasher

from core.errors import BadUserInputError, UnavailableError
from core.permits import PermitQueue
from core.text import require_length
from core.workload import current_workload

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")

MIN_PASSWORD_LENGTH: Final = 8
MAX_PASSWORD_LENGTH: Final = 1024


class Argon2Cost(NamedTuple):
    """What computing a hash takes."""

    passes: int
    memory_kib: int
    parallelism: int


COST: Final = Argon2Cost(passes=3, memory_kib=64 * 1024, parallelism=4)

_SALT_BYTES: Final = 16
_DIGEST_BYTES: Final = 32
# Each computation takes 64 MiB.
_MAX_THREADS: Final = 4
_MAX_PENDING: Final = 128
_NICENESS: Final = 10
_MAX_PENDING_PER_USER: Final = 32
# Its head says where it is from; the passwords come after the line of dashes.
_COMMON: Final = Path(__file__).with_name("common_passwords.txt")


@dataclass(frozen=True, slots=True)
class PasswordCheck:
    """Result of verifying a password; `replacement` is a new hash if the stored one has outdated parameters."""

    matches: bool
    replacement: str | None = field(default=None, repr=False)


@dataclass(slots=True)
class _HashQueue:
    """Hashes of one kind: the permits that each takes in turn, and how many have not ended."""

    permits: tuple[PermitQueue, ...]
    pending: int = 0


class Passwords:
    """Hash and verify passwords in a few threads, which bounds memory and keeps the event loop free."""

    def __init__(self, cost: Argon2Cost | None = None) -> None:
        cost = cost or COST
        hasher = Argon2Hasher(*cost, _DIGEST_BYTES, _SALT_BYTES)
        self._hashes = PasswordHash((hasher,))
        self._dummy_hash = (
            f"$argon2id$v=19$m={cost.memory_kib},t={cost.passes},p={cost.parallelism}"
            f"${_encoded_random(_SALT_BYTES)}${_encoded_random(_DIGEST_BYTES)}"
        )
        threads = min(_MAX_THREADS, os.cpu_count() or 1)
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="argon2", initializer=_lower_priority)
        threads_free = max(1, threads - 1)
        # Somebody who signs in does not wait behind all that another address asks for.
        permits = PermitQueue(threads, per_user=threads_free, per_request=1)
        self._hash_queue = _HashQueue((permits,))
        # New accounts, however many addresses ask for them, leave a thread to those who have one.
        sign_up_permits = PermitQueue(threads_free, per_user=threads_free, per_request=1)
        self._sign_up_queue = _HashQueue((sign_up_permits, permits))

    async def hash(self, password: str) -> str:
        """Return a new hash of the password."""
        return await self._run_in_thread(self._hash_queue, self._hashes.hash, password)

    async def hash_for_sign_up(self, password: str) -> str:
        """Return the hash of a new account's password, which leaves a thread to those who sign in."""
        return await self._run_in_thread(self._sign_up_queue, self._hashes.hash, password)

    async def verify(self, password: str, stored_hash: str | None) -> PasswordCheck:
        """Verify a password; without a stored hash, take as long as with one and fail."""
        return await self._run_in_thread(self._hash_queue, self._verify, password, stored_hash)

    def _verify(self, password: str, stored_hash: str | None) -> PasswordCheck:
        try:
            matches, replacement = self._hashes.verify_and_update(password, stored_hash or self._dummy_hash)
        except UnknownHashError:
            self._hashes.verify(password, self._dummy_hash)
            return PasswordCheck(matches=False)
        return PasswordCheck(matches and stored_hash is not None, replacement)

    async def _run_in_thread(
        self,
        hash_queue: _HashQueue,
        work: Callable[Arguments, Result],
        *args: Arguments.args,
        **kwargs: Arguments.kwargs,
    ) -> Result:
        workload = current_workload.get()
        waiting = 0 if workload is None else sum(queue.waiting_of(workload.key) for queue in hash_queue.permits)
        if hash_queue.pending >= _MAX_PENDING or waiting >= _MAX_PENDING_PER_USER:
            raise UnavailableError("Too many passwords are being checked at once. Try again shortly.")
        if workload is not None and workload.on_wait is not None:
            workload.on_wait()
        hash_queue.pending += 1
        try:
            with ExitStack() as permits:
                for queue in hash_queue.permits:
                    if not queue.take(workload):
                        await queue.wait(workload)
                    permits.callback(queue.give_back, workload)
                future = self._threads.submit(work, *args, **kwargs)
                return await self._run_with_permits(permits.pop_all(), future)
        finally:
            hash_queue.pending -= 1

    async def _run_with_permits(self, permits: ExitStack, future: Future[Result]) -> Result:
        """Return the result; a thread goes on where its caller is cancelled, and keeps its permits until it ends."""
        loop = asyncio.get_running_loop()
        future.add_done_callback(lambda _: loop.call_soon_threadsafe(permits.close))
        return await asyncio.wrap_future(future)

    def close(self) -> None:
        """Shut the threads down and cancel what has not started."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def require_new_password(password: str, path: tuple[str, ...]) -> None:
    """Raise BadUserInputError for a password that is too short, too long or one of the most common."""
    require_length(password, path, min_length=MIN_PASSWORD_LENGTH, max_length=MAX_PASSWORD_LENGTH)
    if password.strip().lower() in _common_passwords():
        message = f"{path[-1]} is one of the most common passwords, which are tried first; choose another."
        raise BadUserInputError(message, path=path)


@cache
def _common_passwords() -> frozenset[str]:
    return frozenset(_COMMON.read_text(encoding="ascii").partition("\n-----")[2].split()[1:])


def _encoded_random(size: int) -> str:
    return b64encode(secrets.token_bytes(size)).decode().rstrip("=")


def _lower_priority() -> None:
    """Let the event loop, which answers everybody, go before this thread where both want the same core."""
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICENESS)
