"""The audit log: what it tells, to whom, that it tells no secrets and nothing of who has an account, and its bounds."""

from datetime import timedelta
from functools import partial
from typing import Any, Final

import httpx2
import pytest

from core.clock import utc_now
from core.database import Database
from core.errors import NotFoundError, UnauthenticatedError
from core.ids import new_id
from core.settings import Settings
from models import AuditEventKind
from services.accounts import audit, users
from services.accounts.audit import Client, record_event
from services.sync.housekeeping import delete_old_audit_events
from tests.databases import counted, run_sql
from tests.factories import SignedIn, sign_in
from tests.graph_client import GraphClient
from tests.server.rest.client import RestClient
from tests.server.rest.client import refusal as rest_refusal
from tests.servers import RunningServer
from tests.services.account_services import PASSWORD, AccountServices, new_email
from tests.services.rows import end_grace
from tests.waiting import until_so

AGENT: Final = "Tests/1.0 " + "x" * 400
EVENTS: Final = "auditEvents(first: 100) { totalCount nodes { kind actorId subjectId address userAgent } }"
OWN: Final = f"{{ viewer {{ id {EVENTS} }} }}"


async def events_of(client: GraphClient, token: str) -> list[dict[str, Any]]:
    events: list[dict[str, Any]] = (await client.query(OWN, as_=token))["viewer"]["auditEvents"]["nodes"]
    return events


async def kinds_of(database: Database, user_id: str) -> list[str]:
    kinds = (
        "SELECT coalesce(group_concat(kind), '') FROM (SELECT kind FROM audit_events WHERE user_id = :id ORDER BY id)"
    )
    if not database.is_sqlite:
        kinds = kinds.replace("group_concat(kind)", "string_agg(kind, ',')").replace("ORDER BY id)", "ORDER BY id) e")
    text: str = await database.write(lambda session: run_sql(session, kinds, id=user_id))
    return text.split(",") if text else []


async def _refresh_twice(client: GraphClient, database: Database, signed_up: dict[str, Any]) -> None:
    for _ in range(2):
        await client.mutate("refreshSession", {"refreshToken": signed_up["refreshToken"]})
        await end_grace(database, signed_up["user"]["id"])


async def test_log_tells_what_happened_from_where(server: RunningServer, database: Database, admin: SignedIn) -> None:
    credentials = {"email": new_email(), "password": PASSWORD}
    async with httpx2.AsyncClient(base_url=server.url, headers={"user-agent": AGENT}) as http:
        client = GraphClient(http)
        signed_up = await client.mutate("signUp", credentials | {"name": "Ada"})
        token, user_id = signed_up["accessToken"], signed_up["user"]["id"]
        await client.mutate("signIn", credentials | {"password": "a guess"})
        await until_so(lambda: _has(database, user_id, "SIGN_IN_FAILED"))
        second = await client.mutate("signIn", credentials)
        made = await client.mutate("createAccessToken", {"name": "x", "scopes": ["TASKS_READ"]}, as_=token)
        token_id = made["accessToken"]["id"]
        await client.mutate("revokeAccessToken", {"id": token_id}, as_=token)
        passwords = {"currentPassword": PASSWORD, "newPassword": f"{PASSWORD} 2"}
        await client.mutate("changePassword", passwords, as_=token)
        await _refresh_twice(client, database, signed_up)
        for is_active in (False, True):
            await client.mutate("setUserActive", {"id": user_id, "isActive": is_active}, as_=admin)
        third = await client.mutate("signIn", credentials | {"password": f"{PASSWORD} 2"})
        await client.mutate("signOut", as_=third["accessToken"])
        last = (await client.mutate("signIn", credentials | {"password": f"{PASSWORD} 2"}))["accessToken"]
        await _set_admin(database, user_id)
        events = await events_of(client, last)
    assert [event["kind"] for event in events[::-1]] == [
        *("SIGNED_UP", "SIGNED_IN", "SIGN_IN_FAILED", "SIGNED_IN", "ACCESS_TOKEN_CREATED", "ACCESS_TOKEN_REVOKED"),
        *("PASSWORD_CHANGED", "SESSION_ENDED", "ACCOUNT_DEACTIVATED", "ACCOUNT_ACTIVATED", "SIGNED_IN", "SIGNED_OUT"),
        *("SIGNED_IN", "ADMIN_GRANTED", "ADMIN_REVOKED"),
    ]
    told = {(event["address"], event["userAgent"]) for event in events}
    assert told == {("127.0.0.1", AGENT[:300]), (None, None)}
    assert {event["kind"] for event in events if event["actorId"] == admin.user.id} == {
        "ACCOUNT_DEACTIVATED",
        "ACCOUNT_ACTIVATED",
    }
    assert [event["subjectId"] for event in events if event["kind"].startswith("ACCESS")] == [token_id] * 2
    begun, ended = ([e["subjectId"] for e in events if e["kind"] == kind] for kind in ("SIGNED_IN", "SESSION_ENDED"))
    assert ended == [begun[-1]]
    tokens = [token, made["token"], *(each["refreshToken"] for each in (signed_up, second, third))]
    secrets = [PASSWORD, "a guess", *tokens]
    assert not [secret for secret in secrets if secret in str(events)]


async def _has(database: Database, user_id: str, kind: str) -> bool:
    return kind in await kinds_of(database, user_id)


async def _set_admin(database: Database, user_id: str) -> None:
    for is_admin in (True, True, False):
        change = partial(users.set_admin, email_or_id=user_id, is_admin=is_admin, allow_unverified=True)
        await database.write(change)


async def test_person_and_admins_read_it_and_nobody_else(
    http: httpx2.AsyncClient,
    database: Database,
    user: SignedIn,
    stranger: SignedIn,
    admin: SignedIn,
) -> None:
    await record(database, user.user.id, AuditEventKind.SIGNED_IN)
    node = f"query ($id: ID!) {{ node(id: $id) {{ ... on User {{ {EVENTS} }} }} }}"
    for reader, seen in ((user, True), (admin, True), (stranger, False)):
        found = (await GraphClient(http).query(node, {"id": user.user.id}, as_=reader))["node"]
        assert (found and found["auditEvents"]["totalCount"]) == (1 if seen else None)
    path, rest = f"/users/{user.user.id}/audit-events", RestClient(http)
    (own,) = (await rest.as_(user).ok("GET", "/me/audit-events"))["items"]
    assert (own["kind"], own["address"], own["user_agent"]) == ("SIGNED_IN", "192.0.2.1", None)
    assert (await rest.as_(admin).ok("GET", path, include_total="true")) == {
        "items": [own],
        "next_cursor": None,
        "total": 1,
    }
    for reader in (user, stranger):
        assert rest_refusal(await rest.as_(reader).problem("GET", path)) == (403, "FORBIDDEN", None)
    for unknown in (new_id(), "%00"):
        problem = await rest.as_(admin).problem("GET", f"/users/{unknown}/audit-events")
        assert rest_refusal(problem) == (404, "NOT_FOUND", None)


async def record(database: Database, user_id: str, kind: AuditEventKind, **values: Any) -> None:
    await database.write(lambda session: record_event(session, Client("192.0.2.1"), kind, user_id, **values))


async def test_admin_lists_the_events_of_many_users_by_one_statement(
    server: RunningServer, database: Database, settings: Settings, admin: SignedIn
) -> None:
    from tests.graph.operations import run

    for number in range(3):
        user = await sign_in(database, settings)
        for _ in range(number):
            await record(database, user.user.id, AuditEventKind.SIGNED_IN)
    done = await run(server, admin, f"{{ users(last: 3) {{ nodes {{ {EVENTS.replace('100', '1')} }} }} }}")
    lists = [node["auditEvents"] for node in done.data["users"]["nodes"]]
    assert [(each["totalCount"], len(each["nodes"])) for each in lists] == [(0, 0), (1, 1), (2, 1)]
    assert len(done.statements) == 3


async def test_pages_of_events_are_priced_by_their_size(client: GraphClient, admin: SignedIn) -> None:
    answer = await client.execute(f"{{ users(first: 100) {{ nodes {{ {EVENTS} }} }} }}", as_=admin)
    assert answer.codes == ["QUERY_TOO_COMPLEX"]


async def test_events_page_from_the_newest_to_the_oldest(
    client: GraphClient, database: Database, user: SignedIn
) -> None:
    for kind in AuditEventKind:
        await record(database, user.user.id, kind)
    query = """query ($after: String) { viewer { auditEvents(first: 5, after: $after) {
        nodes { kind } pageInfo { hasNextPage endCursor } } } }"""
    seen, after = list[str](), None
    while after != "":
        page = (await client.query(query, {"after": after}, as_=user))["viewer"]["auditEvents"]
        seen += [node["kind"] for node in page["nodes"]]
        after = page["pageInfo"]["endCursor"] if page["pageInfo"]["hasNextPage"] else ""
    assert seen == [str(kind) for kind in AuditEventKind][::-1]


async def test_deletion_by_an_admin_is_in_the_admins_log(services: AccountServices, user: SignedIn) -> None:
    admin = await services.admin()
    await services.accounts.delete_user(admin, user.user.id, Client("192.0.2.1"))
    with pytest.raises(NotFoundError):
        await services.accounts.delete_user(admin, user.user.id, Client("192.0.2.1"))
    assert (await kinds_of(services.database, admin.user_id))[-2:] == ["ADMIN_GRANTED", "ACCOUNT_DELETED"]


async def test_failed_sign_in_does_the_same_before_its_answer_with_an_account_and_without(
    services: AccountServices,
) -> None:
    user = await services.sign_up()
    found = []
    for email in (user.user.email, new_email()):
        with counted() as statements, pytest.raises(UnauthenticatedError) as refused:
            await services.sign_in(email, "a guess", new_id())
        found.append((len(statements), refused.value.message))
    assert found[0] == found[1]
    await services.accounts.close()
    assert (await kinds_of(services.database, user.user.id))[-1] == "SIGN_IN_FAILED"


async def test_flood_of_failures_is_bounded_and_drives_nothing_else_out(
    services: AccountServices, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit, "MAX_EVENTS_OF_KIND", 3)
    user = await services.sign_up()
    for number in range(8):
        with pytest.raises(UnauthenticatedError):
            await services.sign_in(user.user.email, "a guess", f"192.0.2.{number}")
    await services.accounts.close()
    kinds = await kinds_of(services.database, user.user.id)
    assert kinds == ["SIGNED_UP", "SIGNED_IN", *["SIGN_IN_FAILED"] * 3]


async def test_old_events_are_deleted_in_batches(
    database: Database, user: SignedIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.sync.housekeeping._BATCH", 2)
    for days in (1, 400, 500, 600):
        created_at = utc_now() - timedelta(days=days)
        await record(database, user.user.id, AuditEventKind.SIGNED_IN, created_at=created_at)
    more = [await database.write(lambda session: delete_old_audit_events(session, 365)) for _ in range(2)]
    assert more == [True, False]
    assert await kinds_of(database, user.user.id) == ["SIGNED_IN"]
