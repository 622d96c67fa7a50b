"""What processes tell each other, and whatever else may arrive on the channel."""

from hypothesis import given
from hypothesis import strategies as st

from live.broker import Signals

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
