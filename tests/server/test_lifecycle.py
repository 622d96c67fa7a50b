"""Graceful shutdown: sockets and streams are closed, and running mutations complete."""

import asyncio
import signal
from pathlib import Path

from core.settings import Settings
from server.app import create_app
from server.lifecycle import graceful_shutdown
from tests.event_client import open_events
from tests.factories import SignedIn
from tests.server import sample
from tests.servers import serve, serve_with
from tests.socket_client import open_socket, signed_in_socket
from tests.waiting import until

CHANGES = "subscription { changes { changed { id } } }"
RESTARTS = (1012, "The server restarts; connect again.")


async def test_shutdown_closes_sockets_and_streams(settings: Settings, user: SignedIn) -> None:
    async with (
        serve_with(settings) as server,
        server.client() as http,
        signed_in_socket(server, user.token) as socket,
        signed_in_socket(server, None) as anonymous,
        open_events(server, CHANGES, token=user.token) as events,
    ):
        await socket.subscribe(CHANGES)
        await server.until_followed(user.user.id, 2)
        assert (await http.get("/ready")).status_code == 200
        server.app.state.connections.close_all()
        assert await socket.closing() == RESTARTS
        assert await anonymous.closing() == RESTARTS
        await events.end()
        await until(lambda: not server.runtime.live.hub.users)
        answer = await http.get("/ready")
        assert (answer.status_code, answer.json()["reason"]) == (503, "The server is shutting down.")
        # New requests are answered; new sockets and streams are closed.
        assert (await http.post("/graphql", json={"query": "{ viewer { id } }"})).status_code == 200
        async with open_socket(server) as late:
            await late.send({"type": "connection_init"})
            assert await late.receive() == {"type": "connection_ack"}
            assert await late.closing() == RESTARTS
        async with open_events(server, CHANGES, token=user.token) as late_events:
            await late_events.end()


async def test_mutation_completes_before_the_database_is_closed(tmp_path: Path, happenings: sample.Happenings) -> None:
    app = create_app(sample.sample_settings(tmp_path), sample.schema)
    async with serve(app) as server, signed_in_socket(server, None) as socket:
        await socket.subscribe("mutation { wait }")
        await happenings.began.wait()
        server.app.state.connections.close_all()
        assert await socket.closing() == RESTARTS
        assert happenings.ended == []
        happenings.may_end.set()
    assert happenings.ended == ["done"]


async def test_signal_handlers_are_restored_and_unchanged_outside_the_main_thread(settings: Settings) -> None:
    presence = create_app(settings).state.connections
    kept = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    inside = []

    def enter() -> None:
        with graceful_shutdown(presence):
            inside.append(signal.getsignal(signal.SIGTERM))

    enter()
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == kept
    await asyncio.to_thread(enter)
    assert (inside[0] is not kept[0], inside[1] is kept[0]) == (True, True)
