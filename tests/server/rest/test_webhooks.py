"""Webhooks of an identity provider: what is signed is carried out once and in order, all else changes nothing."""

import hmac
import time
from base64 import b64decode, b64encode
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import httpx2
import orjson
import pytest

from core.clock import utc_now
from core.database import Database
from core.ids import new_id
from core.settings import Settings
from models import User
from tests.factories import make_user, sign_in
from tests.server.rest.client import problem_of
from tests.servers import RunningServer, serve_with
from tests.services.rows import change_user, read_user

SECRET: Final = f"whsec_{b64encode(b'a key of 24 bytes or more').decode()}"
ISSUER: Final = {
    "auth_jwks_url": "http://127.0.0.1:1/jwks",
    "auth_issuer": "https://clerk.example.com",
    "auth_audience": "*",
    "auth_webhook_secret": SECRET,
}


def signed(body: bytes, *, sent_s: int | None = None, secret: str = SECRET, prefix: str = "svix") -> dict[str, str]:
    """Return the headers that a provider would send with the body."""
    message_id, sent = "msg_1", str(sent_s or int(time.time()))
    key = b64decode(secret.removeprefix("whsec_"))
    signature = b64encode(hmac.digest(key, f"{message_id}.{sent}.".encode() + body, "sha256")).decode()
    return {
        "content-type": "application/json",
        f"{prefix}-id": message_id,
        f"{prefix}-timestamp": sent,
        f"{prefix}-signature": f"v1a,AAAA v1,AAAA v1,{signature}",
    }


@dataclass
class Provider:
    """A provider that sends webhooks, and one of its users."""

    server: RunningServer
    http: httpx2.AsyncClient
    database: Database
    user: User

    async def post(self, body: bytes, headers: dict[str, str]) -> httpx2.Response:
        return await self.http.post("/api/auth/webhooks", content=body, headers=headers)

    async def send(self, kind: str, data: Any, **more: Any) -> int:
        body = orjson.dumps({"type": kind, "data": data} | more)
        return (await self.post(body, signed(body))).status_code

    async def row(self) -> Any:
        return await read_user(self.database, self.user.id)

    async def told(self) -> tuple[Any, ...]:
        row = await self.row()
        return row.email, row.name, row.image, row.email_verified


@pytest.fixture(scope="module")
async def receiving(settings: Settings) -> AsyncIterator[RunningServer]:
    async with serve_with(settings, **ISSUER) as running:
        yield running


@pytest.fixture
async def provider(receiving: RunningServer, database: Database) -> AsyncIterator[Provider]:
    long_ago = utc_now() - timedelta(hours=1)
    user = await make_user(database, id=f"user_{new_id()}", issuer=ISSUER["auth_issuer"], updated_at=long_ago)
    async with receiving.client() as http:
        yield Provider(receiving, http, database, user)


async def test_update_is_carried_out_unless_a_newer_one_was(provider: Provider) -> None:
    changed = datetime.now(UTC) - timedelta(minutes=5)
    clerk = {
        "id": provider.user.id,
        "email_addresses": [
            {"id": "idn_1", "email_address": "old@example.com", "verification": {"status": "verified"}},
            {"id": "idn_2", "email_address": "Ada@Example.com", "verification": {"status": "verified"}},
        ],
        "primary_email_address_id": "idn_2",
        "first_name": "Ada",
        "last_name": "Lovelace",
        "image_url": "https://img.example.com/ada",
        "updated_at": int(changed.timestamp() * 1000),
    }
    expected = "ada@example.com", "Ada Lovelace", "https://img.example.com/ada", True
    for _ in range(2):
        assert await provider.send("user.updated", clerk) == 204
        assert await provider.told() == expected
        assert (await provider.row()).revision == 1
    plain = {"id": provider.user.id, "email": "grace@example.com", "name": "Grace", "emailVerified": False}
    older = (changed - timedelta(minutes=1)).isoformat()
    assert await provider.send("user.updated", plain | {"updatedAt": older}) == 204
    assert await provider.told() == expected
    newer = (changed + timedelta(minutes=1)).isoformat()
    assert await provider.send("user.updated", plain, timestamp=newer) == 204
    assert await provider.told() == ("grace@example.com", "Grace", None, False)
    assert await provider.send("user.updated", clerk) == 204
    assert (await provider.row()).revision == 2


async def test_deletion_removes_the_account_with_its_sessions_and_may_come_again(
    provider: Provider, settings: Settings
) -> None:
    session = await sign_in(provider.database, settings, provider.user)
    assert (await provider.http.get("/api/me", headers=session.headers)).status_code == 200
    for _ in range(2):
        assert await provider.send("user.deleted", {"id": provider.user.id, "deleted": True}) == 204
        assert await provider.row() is None
        assert (await provider.http.get("/api/me", headers=session.headers)).status_code == 401


async def test_webhooks_about_others_change_nothing(provider: Provider) -> None:
    before = await provider.told()
    others: tuple[tuple[str, dict[str, Any]], ...] = (
        ("user.created", {"id": provider.user.id, "email": "x@example.com"}),
        ("session.created", {"id": provider.user.id}),
        ("user.updated", {"id": new_id(), "email": "x@example.com"}),
        ("user.updated", {"id": provider.user.id, "email_addresses": []}),
        ("user.updated", {"id": provider.user.id, "email_addresses": [{"id": {}}], "primary_email_address_id": []}),
        ("user.deleted", {"id": new_id()}),
    )
    for kind, data in others:
        assert await provider.send(kind, data) == 204
    assert await provider.send("user.updated", {"id": provider.user.id}, type=[]) == 204
    # Another issuer's user, and one who signs in here, are none of the provider's.
    for issuer in (None, "https://other.example.com"):
        await change_user(provider.database, provider.user.id, issuer=issuer)
        assert await provider.send("user.updated", {"id": provider.user.id, "email": "x@example.com"}) == 204
        assert await provider.send("user.deleted", {"id": provider.user.id}) == 204
    await change_user(provider.database, provider.user.id, issuer=ISSUER["auth_issuer"], is_active=False)
    assert await provider.send("user.updated", {"id": provider.user.id, "email": "x@example.com"}) == 204
    assert await provider.told() == before
    unusable: tuple[Any, ...] = (None, {}, {"id": 7}, {"id": "nul\0"})
    for data in unusable:
        assert await provider.send("user.deleted", data) == 422


@pytest.mark.parametrize("prefix", ["svix", "webhook"])
async def test_only_what_was_signed_just_now_is_taken(provider: Provider, prefix: str) -> None:
    body = orjson.dumps({"type": "user.deleted", "data": {"id": provider.user.id}})
    fine, now_s = signed(body, prefix=prefix), int(time.time())
    another = f"whsec_{b64encode(b'another key of 24 bytes').decode()}"
    for wrong in (
        signed(body + b" ", prefix=prefix),
        signed(body, prefix=prefix, secret=another),
        signed(body, prefix=prefix, sent_s=now_s - 360),
        signed(body, prefix=prefix, sent_s=now_s + 360),
        signed(body, prefix=prefix, sent_s=999_999_999_999),
        fine | {f"{prefix}-id": "msg_2"},
        fine | {f"{prefix}-timestamp": str(now_s - 1)},
        fine | {f"{prefix}-timestamp": "9" * 30},
        fine | {f"{prefix}-signature": fine[f"{prefix}-signature"].replace(" v1,", " v2,")},
        {"content-type": "application/json"},
    ):
        assert problem_of(await provider.post(body, wrong))["code"] == "UNAUTHENTICATED"
    large = b" " * (provider.server.runtime.settings.graphql_max_body_bytes + 1)
    assert (await provider.post(large, signed(large))).status_code == 413
    assert await provider.row() is not None
    assert (await provider.post(body, fine)).status_code == 204
    assert await provider.row() is None


async def test_without_a_secret_there_are_no_webhooks(http: httpx2.AsyncClient) -> None:
    response = await http.post("/api/auth/webhooks", content=b"{}", headers=signed(b"{}"))
    assert problem_of(response)["code"] == "NOT_FOUND"
