"""Sign-ups and passwords: limited before they are hashed, common ones refused, nobody held up, no race lost."""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import Context
from typing import Any, Final
from unittest.mock import patch

import httpx2
import pytest
from pwdlib import PasswordHash

from core import passwords
from core.clock import utc_now
from core.database import Database
from core.errors import BadUserInputError, RateLimitedError, UnauthenticatedError, UnavailableError
from core.passwords import MIN_PASSWORD_LENGTH, PasswordCheck, Passwords
from core.settings import Settings
from core.workload import start_workload
from models import User
from server.cli import main
from services.accounts import users
from services.accounts.accounts import SessionTokens
from services.accounts.audit import Client
from tests.factories import make_user
from tests.graph_client import GraphClient, refusal
from tests.server.rest.client import RestClient
from tests.server.rest.client import refusal as rest_refusal
from tests.servers import serve_with
from tests.services.account_services import (
    ELSEWHERE,
    HERE,
    PASSWORD,
    WRONG,
    AccountServices,
    new_email,
    open_account_services,
)
from tests.services.rows import change_user
from tests.waiting import PATIENCE_S, until


@contextmanager
def hashed() -> Iterator[list[str]]:
    """Collect the passwords that are hashed or verified."""
    found: list[str] = []
    hash_, verify = PasswordHash.hash, PasswordHash.verify_and_update

    def note_hash(hashes: PasswordHash, password: str) -> str:
        found.append(password)
        return hash_(hashes, password)

    def note_verify(hashes: PasswordHash, password: str, stored: str) -> tuple[bool, str | None]:
        found.append(password)
        return verify(hashes, password, stored)

    with patch.object(PasswordHash, "hash", note_hash), patch.object(PasswordHash, "verify_and_update", note_verify):
        yield found


def account(password: str = PASSWORD) -> dict[str, str]:
    return {"email": new_email(), "password": password, "name": "Ada"}


async def test_sign_ups_of_an_address_are_limited_before_they_are_hashed(settings: Settings) -> None:
    async with serve_with(settings, sign_ups_per_address=2) as server, server.client() as http:
        client, rest = GraphClient(http), RestClient(http)
        taken = account()
        with hashed() as hashes:
            assert (await client.mutate("signUp", taken))["errors"] == []
            # Counted as well, or it could be found out who has an account.
            assert refusal(await client.mutate("signUp", taken))[0] == "CONFLICT"
            payload = await client.mutate("signUp", account())
            response = await rest.send("POST", "/auth/register", account())
            credentials = {name: taken[name] for name in ("email", "password")}
            assert (await client.mutate("signIn", credentials))["errors"] == []
        assert refusal(payload)[0] == "RATE_LIMITED"
        assert payload["errors"][0]["retryAt"] > utc_now().isoformat()
        assert (response.status_code, int(response.headers["retry-after"]) > 0) == (429, True)
        # The first sign-up, and the sign-in.
        assert len(hashes) == 2


Ask = Callable[[AccountServices, SessionTokens], Awaitable[Any]]


async def sign_in(services: AccountServices, user: SessionTokens, address: str = HERE) -> Any:
    return await services.sign_in(user.user.email, address=address)


async def change_password(services: AccountServices, user: SessionTokens) -> Any:
    passwords = {"current_password": PASSWORD, "new_password": PASSWORD}
    return await services.accounts.change_password(await services.caller(user), **passwords, client=Client(HERE))


async def delete_account(services: AccountServices, user: SessionTokens) -> Any:
    return await services.accounts.delete_account(await services.caller(user), password=PASSWORD, client=Client(HERE))


@pytest.mark.parametrize("ask", [sign_in, change_password, delete_account])
async def test_right_passwords_are_limited_for_an_account_from_one_address(
    database: Database, settings: Settings, ask: Ask
) -> None:
    changed = settings.model_copy(update={"password_checks": 3})
    async with open_account_services(database, changed) as services:
        user, other = await services.sign_up(), await services.sign_up()
        for _ in range(3):
            await sign_in(services, user)
        with hashed() as hashes:
            with pytest.raises(
                RateLimitedError, match=r"^Too many passwords were checked\. Try again after "
            ) as refused:
                await ask(services, user)
            assert hashes == []
        assert refused.value.retry_at > utc_now()
        await sign_in(services, user, ELSEWHERE)
        await sign_in(services, other)


async def test_right_passwords_are_limited_for_one_address(database: Database, settings: Settings) -> None:
    changed = settings.model_copy(update={"password_checks_per_address": 3})
    async with open_account_services(database, changed) as services:
        people = [await services.sign_up() for _ in range(4)]
        outcomes = await asyncio.gather(*(sign_in(services, each) for each in people), return_exceptions=True)
        assert [type(outcome) for outcome in outcomes].count(RateLimitedError) == 1
        await sign_in(services, people[0], ELSEWHERE)


class RecordingThreads(ThreadPoolExecutor):
    """Threads that note what they are given, which is the order that it begins in."""

    given: Final[list[str]] = []

    def submit(self, work: Any, /, *args: Any, **kwargs: Any) -> Any:
        self.given.append(work.__name__)
        return super().submit(work, *args, **kwargs)


@pytest.fixture
def may_end(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Let no hash that has begun end before the event is set; verifying goes on."""
    may_end, hash_ = threading.Event(), PasswordHash.hash

    def hash_slowly(hashes: PasswordHash, password: str) -> str:
        assert may_end.wait(PATIENCE_S)
        return hash_(hashes, password)

    monkeypatch.setattr(PasswordHash, "hash", hash_slowly)
    monkeypatch.setattr("core.passwords.ThreadPoolExecutor", RecordingThreads)
    RecordingThreads.given.clear()
    return may_end


async def sign_up_from(services: AccountServices, address: str) -> None:
    start_workload(address=address)
    await services.accounts.sign_up(**account(), client=Client(address))


@pytest.mark.parametrize("cores", [1, 2, 8])
async def test_sign_in_goes_before_all_sign_ups_that_wait(
    services: AccountServices, may_end: threading.Event, monkeypatch: pytest.MonkeyPatch, cores: int
) -> None:
    monkeypatch.setattr("core.passwords.os.cpu_count", lambda: cores)
    monkeypatch.setattr("core.passwords._MAX_PENDING", 50)
    user = await make_user(services.database, password_hash="unusable")
    given, asked, verify = RecordingThreads.given, list[str](), Passwords.verify

    async def noted(own: Passwords, password: str, stored: str | None) -> PasswordCheck:
        asked.append(password)
        return await verify(own, password, stored)

    monkeypatch.setattr(Passwords, "verify", noted)
    async with open_account_services(services.database, services.settings) as busy:
        addresses = [f"192.0.2.{number}" for number in range(100)]
        signing_up = [asyncio.create_task(sign_up_from(busy, each), context=Context()) for each in addresses]
        # Those too many are refused, and none who signs in because of them.
        await until(lambda: sum(task.done() for task in signing_up) == 50)
        begun = len(given)
        assert begun == max(1, min(cores, 4) - 1)
        signing_in = asyncio.create_task(busy.sign_in(user.email))
        if cores > 1:
            await asyncio.wait([signing_in])
        await until(lambda: asked)
        may_end.set()
        with pytest.raises(UnauthenticatedError, match=WRONG):
            await signing_in
        outcomes = await asyncio.gather(*signing_up, return_exceptions=True)
    assert given.index("_verify") == begun
    assert [type(outcome) for outcome in outcomes].count(UnavailableError) == 50


@pytest.mark.parametrize("password", ["password", "PASSWORD", "trustno1", " iloveyou ", "felicidade"])
async def test_common_password_is_refused(client: GraphClient, http: httpx2.AsyncClient, password: str) -> None:
    given, rest = account(), RestClient(http)
    told = " is one of the most common passwords, which are tried first; choose another."
    refused = await client.mutate("signUp", given | {"password": password})
    assert refusal(refused) == ("BAD_USER_INPUT", "input.password", f"password{told}")
    problem = await rest.problem("POST", "/auth/register", given | {"password": password})
    assert (problem["detail"], *rest_refusal(problem)) == (f"password{told}", 422, "BAD_USER_INPUT", "#/password")
    token = (await client.mutate("signUp", given))["accessToken"]
    change = {"currentPassword": PASSWORD, "newPassword": password}
    refused = await client.mutate("changePassword", change, as_=token)
    assert refusal(refused) == ("BAD_USER_INPUT", "input.newPassword", f"newPassword{told}")


def test_ten_thousand_common_passwords_are_known() -> None:
    common = passwords._common_passwords()  # noqa: SLF001 - the list itself
    assert len(common) == 10_000
    assert {
        password for password in common if len(password) < MIN_PASSWORD_LENGTH or password.lower() != password
    } == set()


Change = Callable[[Database, str], Awaitable[object]]


async def deactivate(database: Database, user_id: str) -> None:
    await change_user(database, user_id, is_active=False)


async def delete(database: Database, user_id: str) -> None:
    await database.write(lambda session: users.delete(session, user_id))


@pytest.mark.parametrize("change", [deactivate, delete])
async def test_account_that_goes_while_its_password_is_verified_is_not_signed_in(
    services: AccountServices, monkeypatch: pytest.MonkeyPatch, change: Change
) -> None:
    user = await services.sign_up()
    caller, before = await services.caller(user), await services.sessions(user.user.id)
    verify = Passwords.verify

    async def verify_and_change(own: Passwords, password: str, stored: str | None) -> PasswordCheck:
        check = await verify(own, password, stored)
        await change(services.database, user.user.id)
        return check

    monkeypatch.setattr(Passwords, "verify", verify_and_change)
    with pytest.raises(UnauthenticatedError, match=WRONG):
        await sign_in(services, user)
    assert await services.sessions(user.user.id) == (before if change is deactivate else [])
    if change is deactivate:
        await change_user(services.database, user.user.id, is_active=True)
        with pytest.raises(BadUserInputError, match=r"The current password is wrong\."):
            await services.accounts.delete_account(caller, password=PASSWORD, client=Client(HERE))
        assert await services.row(user.user.id) is not None


async def test_admin_needs_a_verified_address(
    database: Database, settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("database_url", "secret_key"):
        monkeypatch.setenv(name.upper(), getattr(settings, name))
    verified, unverified = await make_user(database, email_verified=True), await make_user(database)
    email = unverified.email
    told = f"tasktalk: The address {email} is not verified: anybody may have made the account. "
    for arguments, status, output, is_admin in (
        ([verified.email], 0, (f"{verified.email} is an admin now.\n", ""), False),
        ([email], 2, ("", f"{told}Where you know that it is theirs, add --unverified.\n"), False),
        ([email, "--unverified"], 0, (f"{email} is an admin now.\n", ""), True),
        ([email, "--revoke"], 0, (f"{email} is no admin any more.\n", ""), False),
    ):
        assert await asyncio.to_thread(main, ["admin", *arguments]) == status
        assert tuple(capsys.readouterr()) == output
        async with database.read() as session:
            assert (await session.get_one(User, unverified.id)).is_admin is is_admin
