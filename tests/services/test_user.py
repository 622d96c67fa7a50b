"""Profiles, and what admins may do to users."""

import asyncio
from typing import Any

import pytest

from core.clock import utc_now
from core.errors import (
    BadUserInputError,
    ConflictError,
    ForbiddenError,
    NotFoundError,
    TasktalkError,
    UnauthenticatedError,
)
from core.ids import new_id
from services.absent import ABSENT
from services.accounts import users
from services.accounts.caller import Caller
from tests.factories import make_user
from tests.services.house import House


async def test_a_profile_is_changed_where_something_is_sent(house: House) -> None:
    caller = await house.caller(await house.sign_up())
    image = "https://example.com/ada.png"
    cases: list[tuple[dict[str, Any], tuple[str, str | None, int]]] = [
        ({}, ("Ada", None, 0)),
        ({"image": image}, ("Ada", image, 1)),
        ({"name": " Grace "}, ("Grace", image, 2)),
        ({"image": ABSENT, "name": ABSENT}, ("Grace", image, 2)),
        ({"image": None}, ("Grace", None, 3)),
    ]
    for sent, expected in cases:
        await house.database.write(lambda session, sent=sent: users.update_profile(session, caller, **sent))  # type: ignore[misc]
        row = await house.row(caller.user_id)
        assert (row.name, row.image, row.revision) == expected


@pytest.mark.parametrize(
    ("sent", "path"),
    [
        ({"name": None}, "name"),
        ({"name": " "}, "name"),
        ({"name": "x" * 201}, "name"),
        ({"name": "nul\0"}, "name"),
        ({"image": ""}, "image"),
        ({"image": "javascript:alert(1)"}, "image"),
        ({"image": "https://"}, "image"),
        ({"image": "https://a b"}, "image"),
        ({"image": "https://example.com/\ud800"}, "image"),
        ({"image": f"https://example.com/{'x' * 2000}"}, "image"),
    ],
)
async def test_a_profile_that_cannot_be(house: House, sent: dict[str, Any], path: str) -> None:
    caller = await house.caller(await house.sign_up())
    before = await house.row(caller.user_id)
    with pytest.raises(BadUserInputError) as refusal:
        await house.database.write(lambda session: users.update_profile(session, caller, **{"name": "Grace"} | sent))
    assert refusal.value.path == ("input", path)
    assert await house.row(caller.user_id) == before


async def test_an_admin_shuts_a_user_out_and_lets_them_in_again(house: House) -> None:
    admin = await house.admin()
    signed_up = await house.sign_up()
    await house.caller(signed_up)
    user = await house.accounts.set_user_active(admin, signed_up.user.id, is_active=False)
    assert (user.is_active, user.revision) == (False, 1)
    with pytest.raises(UnauthenticatedError, match="The session is over"):
        await house.caller(signed_up)
    user = await house.accounts.set_user_active(admin, signed_up.user.id, is_active=True)
    assert (user.is_active, user.revision) == (True, 2)
    with pytest.raises(UnauthenticatedError, match="The session is over"):
        await house.caller(signed_up)
    await house.caller(await house.sign_in(signed_up.user.email))


async def test_an_admin_deletes_a_user(house: House) -> None:
    admin = await house.admin()
    signed_up = await house.sign_up()
    await house.caller(signed_up)
    await house.accounts.delete_user(admin, signed_up.user.id)
    assert await house.row(signed_up.user.id) is None
    with pytest.raises(UnauthenticatedError):
        await house.caller(signed_up)


@pytest.mark.parametrize("case", ["not an admin", "no longer an admin", "oneself", "unknown", "hostile"])
async def test_what_admins_may_not_do(house: House, case: str) -> None:
    caller = await house.admin()
    target = (await house.sign_up()).user.id
    error: type[TasktalkError] = ForbiddenError
    if case == "not an admin":
        caller = Caller((await house.sign_up()).user.id, new_id(), is_admin=True, expires_at=utc_now())
    elif case == "no longer an admin":
        await house.accounts.set_user_active(await house.admin(), caller.user_id, is_active=False)
    elif case == "oneself":
        target, error = caller.user_id, BadUserInputError
    else:
        target, error = (new_id() if case == "unknown" else "\0"), NotFoundError
    before = await house.row(target) if case != "hostile" else None
    with pytest.raises(error) as refusal:
        await house.accounts.set_user_active(caller, target, is_active=False)
    with pytest.raises(error):
        await house.accounts.delete_user(caller, target)
    assert refusal.value.path == (None if error is ForbiddenError else ("input", "id"))
    assert before is None or await house.row(target) == before


async def test_two_admins_cannot_shut_each_other_out(house: House) -> None:
    one, other = await house.admin(), await house.admin()
    outcomes = await asyncio.gather(
        house.accounts.set_user_active(one, other.user_id, is_active=False),
        house.accounts.set_user_active(other, one.user_id, is_active=False),
        return_exceptions=True,
    )
    assert [type(outcome) for outcome in outcomes if isinstance(outcome, Exception)] == [ForbiddenError]
    rows = [await house.row(caller.user_id) for caller in (one, other)]
    assert [row.is_active for row in rows].count(True) == 1


async def test_an_admin_is_named_by_address_or_id(house: House) -> None:
    user = await make_user(house.database)
    made = await house.database.write(lambda session: users.make_admin(session, f" {user.email.upper()} "))
    assert (made.id, made.is_admin, made.revision) == (user.id, True, 1)
    with pytest.raises(NotFoundError, match=r"There is no account with the address nobody@example.com\."):
        await house.database.write(lambda session: users.make_admin(session, "nobody@example.com"))
    twin = await make_user(house.database, email=user.email, issuer="https://auth.example.com")
    with pytest.raises(ConflictError, match=twin.id):
        await house.database.write(lambda session: users.make_admin(session, user.email))
    assert (await house.database.write(lambda session: users.make_admin(session, twin.id))).id == twin.id
