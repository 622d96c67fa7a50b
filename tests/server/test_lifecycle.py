"""Graceful shutdown: sockets and streams are closed, and running mutations complete."""

import signal
import threading

import httpx2
import pytest

from core.settings import Settings
from server.app import create_app
from server.http.connections import ConnectionRegistry
from server.lifecycle import graceful_shutdown
from tests.event_client import open_events
from tests.factories import SignedIn
from tests.server import sample
from tests.servers import serve, serve_with
from tests.socket_client import open_socket, signed_in_socket
from tests.waiting import PATIENCE_S, until

CHANGES = "subscription { changes { changed { id } } }"
RESTARTS = (1012, "The server restarts; connect again.")


async def test_shutdown_closes_sockets_and_streams(settings: Settings, user: SignedIn) -> None:
    async with (
        serve_with(settings) as server,
        httpx2.AsyncClient(base_url=server.url, timeout=PATIENCE_S) as http,
        signed_in_socket(server, user.token) as socket,
        signed_in_socket(server, None) as anonymous,
        open_events(server, CHANGES, token=user.token) as events,
    ):
        await socket.subscribe(CHANGES)
        await until(lambda: len(server.runtime.live.hub._waiters.get(user.user.id, ())) == 2)  # noqa: SLF001
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


async def test_mutation_completes_before_the_database_is_closed(
    tmp_path_factory: pytest.TempPathFactory, happenings: sample.Happenings
) -> None:
    settings = sample.sample_settings(tmp_path_factory.mktemp("leaving"))
    async with serve(create_app(settings, sample.schema)) as server, signed_in_socket(server, None) as socket:
        await socket.subscribe("mutation { wait }")
        await happenings.began.wait()
        server.app.state.connections.close_all()
        assert await socket.closing() == RESTARTS
        assert happenings.ended == []
        happenings.may_end.set()
    assert happenings.ended == ["done"]


async def test_signal_handlers_are_unchanged_outside_the_main_thread(server_presence: ConnectionRegistry) -> None:
    kept = signal.getsignal(signal.SIGTERM)

    def enter() -> None:
        with graceful_shutdown(server_presence):
            assert signal.getsignal(signal.SIGTERM) is kept

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()


async def test_signal_handlers_are_restored(server_presence: ConnectionRegistry) -> None:
    kept = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    with graceful_shutdown(server_presence):
        assert signal.getsignal(signal.SIGTERM) is not kept[0]
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == kept


@pytest.fixture
def server_presence(settings: Settings) -> ConnectionRegistry:
    presence: ConnectionRegistry = create_app(settings).state.connections
    return presence
