"""Metrics of sockets, subscriptions, events and wake-ups."""

import pytest

from core.clock import utc_now
from core.settings import Settings
from tests.databases import only_sqlite
from tests.event_client import open_events
from tests.factories import SignedIn, make_conversation, make_message, make_task
from tests.server.observability.test_metrics import read, value
from tests.servers import serve_with
from tests.socket_client import signed_in_socket

CHANGES = "subscription { changes { changed { id } } }"
MESSAGES = """subscription ($id: ID!, $after: String) {
    messageAdded(conversationId: $id, after: $after) { cursor }
}"""


@only_sqlite
async def test_sockets_subscriptions_and_events_are_counted(settings: Settings, user: SignedIn) -> None:
    # By the poll a change may be seen before this process notifies of it.
    async with serve_with(settings, poll_s=3_600) as server, server.client() as http:
        database = server.runtime.database
        conversation = await make_conversation(database, user.caller)
        variables = {"id": conversation.id}
        async with signed_in_socket(server, user.token) as socket, signed_in_socket(server, None):
            await socket.subscribe(MESSAGES, variables)
            async with open_events(server, CHANGES, token=user.token) as events:
                await server.until_followed(user.user.id, 2)
                samples = await read(http)
                assert (value(samples, "sockets"), value(samples, "subscriptions")) == (2, 2)
                cursor, begun_at = None, utc_now()
                for _ in range(3):
                    await make_message(database, user.caller, conversation.id)
                    cursor = (await socket.data())["messageAdded"]["cursor"]
                took_s = (utc_now() - begun_at).total_seconds()
                await events.data()
            await socket.complete()
            await socket.round_trip()
        await server.until_unconnected()
        samples = await read(http)
        assert (value(samples, "sockets"), value(samples, "subscriptions")) == (0, 0)
        assert value(samples, "events_delivered_total") >= 4
        assert value(samples, "event_lag_seconds_count") == 3
        assert 0 < value(samples, "event_lag_seconds_sum") < 3 * took_s
        # Each change wakes one or both of two waiters; one that already reads is not woken.
        assert value(samples, "wake_ups_total", kind="local") >= 4
        assert value(samples, "wake_ups_total", kind="poll") == 0
        # An event that was missed during a disconnect has no lag.
        await make_message(database, user.caller, conversation.id)
        async with signed_in_socket(server, user.token) as socket:
            await socket.subscribe(MESSAGES, {**variables, "after": cursor})
            await socket.data()
        assert value(await read(http), "event_lag_seconds_count") == 3


async def test_wake_ups_by_the_poll_are_counted(settings: Settings, user: SignedIn) -> None:
    async with (
        serve_with(settings, poll_s=0.02, database_listen=False) as server,
        serve_with(settings, database_listen=False) as elsewhere,
        server.client() as http,
        signed_in_socket(server, user.token) as socket,
    ):
        await socket.subscribe(CHANGES)
        await server.until_followed(user.user.id)
        task = await make_task(elsewhere.runtime.database, user.caller)
        assert await socket.data() == {"changes": {"changed": [{"id": task.id}]}}
        samples = await read(http)
        assert value(samples, "wake_ups_total", kind="poll") == pytest.approx(1)
        assert value(samples, "wake_ups_total", kind="local") == 0
