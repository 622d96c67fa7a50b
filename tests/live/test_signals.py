"""What processes tell each other, and whatever else may arrive on the channel."""

from functools import partial

import orjson
from hypothesis import given
from hypothesis import strategies as st

from core.settings import Settings
from live.broker import Signals
from tests.databases import only_postgresql, run_sql
from tests.factories import make_task, sign_in
from tests.live.talk import until_told
from tests.servers import serve_with
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


def test_malformed_signals_are_ignored() -> None:
    for text in (
        *("", "proof:0123", "null", "7", '"ab"', "[]", "{}", '{"a": 1, "b": 2}', '["x"]', '["x", 7]', '["x", null]'),
        *('["x", [["ada", 1]]]', '["x", {"ada": "many"}]', '["x", {"ada": null}]', '["x", {"ada": 1e400}]'),
        *('["x", {"ada": NaN}]', '["x", {}, {}]', "[" * 10_000, b"\xff"),
    ):
        assert Signals().read(text) == {}


@given(st.text() | st.binary())
def test_arbitrary_payload_raises_nothing(text: str | bytes) -> None:
    Signals().read(text)


@only_postgresql
async def test_forged_notifications_hide_no_change(settings: Settings) -> None:
    """Whoever may connect to the database may notify: what they say must neither end the listening nor hide changes."""
    async with serve_with(settings, poll_when_told_s=3_600) as server:
        database, hub = server.runtime.database, server.runtime.live.hub
        await until_told(server)
        user = await sign_in(database, settings)
        async with signed_in_socket(server, user.token) as socket:
            await socket.subscribe("subscription { changes { changed { id } } }")
            await until(lambda: user.user.id in hub.users)
            notify = partial(run_sql, statement="SELECT pg_notify('tasktalk_changes', :words)")
            for words in ("x", '["x", {"ada": 1e400}]', orjson.dumps(["x", {user.user.id: 1 << 62}]).decode()):
                await database.write(partial(notify, words=words))
            # Committed where nothing tells of it: by now only the poll can know better than the signal.
            await until(lambda: any(each.seen > 1 << 60 for each in hub._waiters[user.user.id]))  # noqa: SLF001
            database.after_commit.clear()
            task = await make_task(database, user.caller)
            hub.request_poll()
            assert await socket.data() == {"changes": {"changed": [{"id": task.id}]}}
            assert server.runtime.live.is_told
