"""Email addresses, profiles, who sees which users, and what admins may change of them."""

import asyncio
from typing import Any

import pytest

from core.clock import utc_now
from core.errors import BadUserInputError, ConflictError, ForbiddenError, NotFoundError, TasktalkError
from core.ids import new_id
from services.accounts import users
from services.accounts.audit import NO_CLIENT
from services.accounts.caller import Caller
from tests.factories import make_user
from tests.services.account_services import AccountServices


def test_email_address_is_normalized_or_refused() -> None:
    for text, email in (
        ("ada@example.com", "ada@example.com"),
        ("  Ada.Lovelace+Notes@Example.COM\n", "ada.lovelace+notes@example.com"),
        ("ada@localhost", "ada@localhost"),
        ("!#$%&'*+-/=?^_`{|}~.@example.com", "!#$%&'*+-/=?^_`{|}~.@example.com"),
        (f"{'a' * 242}@example.com", f"{'a' * 242}@example.com"),
        (f"{'a' * 243}@example.com", None),
        (f"ada@{'a' * 63}.com", f"ada@{'a' * 63}.com"),
        (f"ada@{'a' * 64}.com", None),
        *((f"{name}@example.com", None) for name in ("", "ada@", "ada love", "\u212aelvin", "ad\u00e4", "\ud800")),
        # Mail would take it for another address.
        ("=?utf-8?q?ada=40example.org?=@example.com", None),
        *((f"ada@{host}", None) for host in ("", "-example.com", "example-.com", "example..com", "example.com.")),
        *((text, None) for text in ("", "ada", "ada@a.com\0", "ada@exa\nmple.com", "a" * 10**6, "a@" + "a-" * 10**5)),
    ):
        assert users.normalize_email(text) == email


async def update_profile(services: AccountServices, caller: Caller, sent: dict[str, Any]) -> None:
    await services.database.write(lambda session: users.update_profile(session, caller, sent))


async def test_profile_update_changes_what_is_given_and_counts_only_changes(services: AccountServices) -> None:
    caller = await services.caller(await services.sign_up())
    image = "https://example.com/ada.png"
    cases: list[tuple[dict[str, Any], tuple[str, str | None, int]]] = [
        ({}, ("Ada", None, 0)),
        ({"name": " Ada ", "image": None}, ("Ada", None, 0)),
        ({"image": image}, ("Ada", image, 1)),
        ({"name": " Grace "}, ("Grace", image, 2)),
        ({}, ("Grace", image, 2)),
        ({"image": None}, ("Grace", None, 3)),
    ]
    for sent, expected in cases:
        before = await services.row(caller.user_id)
        await update_profile(services, caller, sent)
        row = await services.row(caller.user_id)
        assert (row.name, row.image, row.revision) == expected
        assert row == before or row.updated_at > before.updated_at


async def test_invalid_profile_is_refused_and_changes_nothing(services: AccountServices) -> None:
    caller = await services.caller(await services.sign_up())
    before = await services.row(caller.user_id)
    scheme = "image must be an address that begins with https:// or http://."
    cases: list[tuple[dict[str, Any], str]] = [
        ({"name": None}, "name cannot be cleared; leave it out to keep it as it is."),
        ({"name": " "}, "name must be 1 to 200 characters long; it has 0."),
        ({"name": "x" * 201}, "name must be 1 to 200 characters long; it has 201."),
        ({"name": "nul\0"}, "name contains a NUL character or a lone surrogate"),
        ({"image": ""}, "image must be 1 to 2000 characters long; it has 0."),
        *(({"image": image}, scheme) for image in ("javascript:alert(1)", "https://", "https://a b")),
        ({"image": "https://example.com/\ud800"}, "image contains a NUL character or a lone surrogate"),
        ({"image": f"https://{'x' * 2000}"}, "image must be 1 to 2000 characters long; it has 2008."),
    ]
    for sent, message in cases:
        with pytest.raises(BadUserInputError) as refusal:
            await update_profile(services, caller, {"name": "Grace"} | sent)
        assert refusal.value.message.startswith(message)
        assert refusal.value.path == ("input", *sent)
    assert await services.row(caller.user_id) == before


async def test_admin_deactivates_activates_and_deletes_a_user(services: AccountServices) -> None:
    admin, first = await services.admin(), await services.sign_up()
    user_id = first.user.id
    assert not await services.is_over(first)
    for is_active, revision in ((True, 0), (False, 1), (False, 1), (True, 2), (True, 2)):
        user = await services.accounts.set_user_active(admin, user_id, NO_CLIENT, is_active=is_active)
        assert (user.is_active, user.revision) == (is_active, revision)
        # What has ended is not restored.
        assert await services.is_over(first) == (revision > 0)
    second = await services.sign_in(first.user.email)
    assert not await services.is_over(second)
    await services.accounts.delete_user(admin, user_id, NO_CLIENT)
    assert await services.row(user_id) is None
    assert await services.is_over(second)


@pytest.mark.parametrize("case", ["not an admin", "no longer an admin", "oneself", "unknown"])
async def test_admin_mutations_are_refused(services: AccountServices, case: str) -> None:
    caller, stranger = await services.admin(), (await services.sign_up()).user.id
    targets = [stranger]
    expected: tuple[Any, ...] = (ForbiddenError, "Only admins may do this.", None)
    match case:
        case "not an admin":
            caller = Caller((await services.sign_up()).user.id, new_id(), is_admin=True, expires_at=utc_now())
            targets += [caller.user_id, new_id(), "\0"]
        case "no longer an admin":
            await services.accounts.set_user_active(await services.admin(), caller.user_id, NO_CLIENT, is_active=False)
        case "oneself":
            targets = [caller.user_id]
            expected = BadUserInputError, "You cannot do this to your own account.", ("input", "id")
        case "unknown":
            targets = [new_id(), "", "\0", "x" * 10_000]
            expected = NotFoundError, "There is no such user.", ("input", "id")
    before = [await services.row(user_id) for user_id in (stranger, caller.user_id)]
    for target in targets:
        for attempt in (
            services.accounts.set_user_active(caller, target, NO_CLIENT, is_active=False),
            services.accounts.delete_user(caller, target, NO_CLIENT),
        ):
            with pytest.raises(TasktalkError) as refusal:
                await attempt
            assert (type(refusal.value), refusal.value.message, refusal.value.path) == expected
    assert [await services.row(user_id) for user_id in (stranger, caller.user_id)] == before


async def test_two_admins_cannot_deactivate_each_other(services: AccountServices) -> None:
    one, other = await services.admin(), await services.admin()
    outcomes = await asyncio.gather(
        services.accounts.set_user_active(one, other.user_id, NO_CLIENT, is_active=False),
        services.accounts.set_user_active(other, one.user_id, NO_CLIENT, is_active=False),
        return_exceptions=True,
    )
    assert [type(outcome) for outcome in outcomes if isinstance(outcome, Exception)] == [ForbiddenError]
    rows = [await services.row(caller.user_id) for caller in (one, other)]
    assert [row.is_active for row in rows].count(True) == 1


async def test_make_admin_takes_an_address_or_an_id(services: AccountServices) -> None:
    async def make(email_or_id: str) -> Any:
        return await services.database.write(lambda session: users.set_admin(session, email_or_id, is_admin=True))

    user = await make_user(services.database, email_verified=True)
    made = await make(f" {user.email.upper()} ")
    assert (made.id, made.is_admin, made.revision) == (user.id, True, 1)
    with pytest.raises(NotFoundError, match=r"There is no account with the address nobody@example.com\."):
        await make("nobody@example.com")
    twin = await make_user(services.database, email=user.email, issuer="https://auth.example.com", email_verified=True)
    with pytest.raises(ConflictError, match=twin.id):
        await make(user.email)
    assert (await make(twin.id)).id == twin.id
    await services.database.write(lambda session: users.set_admin(session, twin.id, is_admin=False))
    assert not (await services.row(twin.id)).is_admin
