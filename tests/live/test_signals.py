"""What processes tell each other, and whatever else may arrive on the channel."""

import asyncpg
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.database_url import parse_database_url
from core.settings import Settings
from live.broker import Signals
from server.app import create_app
from tests.databases import only_postgresql
from tests.factories import SignedIn, make_task, sign_in
from tests.live.wake_ups import until_told
from tests.servers import serve
from tests.socket_client import signed_in_socket
from tests.waiting import until

MOST_BYTES = 7_999
USER_IDS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=255)


@given(st.dictionaries(USER_IDS, st.integers(0, (1 << 31) - 1), max_size=30))
def test_written_signals_are_read_by_others_only(revisions: dict[str, int]) -> None:
    sender, receiver = Signals(), Signals()
    words = sender.write(revisions)
    heard: dict[str, int] = {}
    for word in words:
        assert len(word.encode()) <= MOST_BYTES
        heard |= receiver.read(word)
        assert receiver.read(word.encode()) == receiver.read(word)
        assert sender.read(word) == {}
    assert heard == revisions


def test_signals_fit_into_a_notify_payload() -> None:
    for character in ("x", "\N{ROCKET}", '"', "\x01"):
        revisions = {character * 254 + str(number): (1 << 31) - 1 for number in range(9)}
        assert all(len(word.encode()) <= MOST_BYTES for word in Signals().write(revisions))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "proof:0123",
        "null",
        "7",
        '"ab"',
        "[]",
        "{}",
        '{"a": 1, "b": 2}',
        '["x"]',
        '["x", 7]',
        '["x", null]',
        '["x", [["ada", 1]]]',
        '["x", {"ada": "many"}]',
        '["x", {"ada": null}]',
        '["x", {"ada": 1e400}]',
        '["x", {"ada": NaN}]',
        '["x", {}, {}]',
        "[" * 10_000,
        b"\xff",
    ],
)
def test_malformed_signals_are_ignored(text: str | bytes) -> None:
    assert Signals().read(text) == {}


@given(st.text() | st.binary())
def test_arbitrary_payload_raises_nothing(text: str | bytes) -> None:
    Signals().read(text)


@only_postgresql
async def test_forged_notifications_hide_no_change(settings: Settings) -> None:
    """Whoever may connect to the database may notify: what they say must neither end the listening nor hide changes."""
    url = parse_database_url(settings.database_url).url.render_as_string(hide_password=False)
    async with serve(create_app(settings.model_copy(update={"poll_when_told_s": 3_600}))) as server:
        await until_told(server)
        user: SignedIn = await sign_in(server.runtime.database, settings)
        async with signed_in_socket(server, user.token) as socket:
            await socket.subscribe("subscription { changes { changed { id } } }")
            await until(lambda: user.user.id in server.runtime.live.hub.users)
            connection = await asyncpg.connect(url.replace("postgresql+asyncpg", "postgresql"))
            for words in ("x", '["x", {"ada": 1e400}]', orjson.dumps(["x", {user.user.id: 1 << 62}]).decode()):
                await connection.execute("SELECT pg_notify('tasktalk_changes', $1)", words)
            await connection.close()
            # Committed where nothing tells of it: by now only the poll can know better than the signal.
            await until(lambda: _was_deceived(server, user))
            server.runtime.database.after_commit.clear()
            task = await make_task(server.runtime.database, user.caller)
            server.runtime.live.hub.request_poll()
            assert await socket.data() == {"changes": {"changed": [{"id": task.id}]}}
            assert server.runtime.live.is_told


def _was_deceived(server: object, user: SignedIn) -> bool:
    hub = server.runtime.live.hub  # type: ignore[attr-defined]
    return any(waiter.seen > 1 << 60 for waiter in hub._waiters[user.user.id])  # noqa: SLF001
