"""Refresh tokens: sealed, so that what was never issued is known without the database."""

from hashlib import sha256

import pytest

from core.errors import UnauthenticatedError
from core.ids import new_id
from core.refresh_tokens import RefreshTokens

TOKENS = RefreshTokens("a key that signs only the tokens of tests")
TOKEN = TOKENS.issue(new_id(), 7)


def test_a_token_tells_its_session_and_generation() -> None:
    assert TOKENS.read(TOKEN.text) == TOKEN
    assert TOKEN.hash == sha256(TOKEN.text.encode()).hexdigest()
    assert TOKEN.text not in repr(TOKEN)


def test_no_two_are_alike() -> None:
    session_id = new_id()
    assert len({TOKENS.issue(session_id, 1).text for _ in range(100)}) == 100


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "A" * 80,
        TOKEN.text[:-1],
        TOKEN.text + "A",
        TOKEN.text + "\n",
        TOKEN.text[:79] + "\u0661",
        TOKEN.text.swapcase(),
        "+" + TOKEN.text[1:],
        "\ud800" * 80,
        "A" * 1_000_000,
        RefreshTokens("another key that signs nothing else").issue(TOKEN.session_id, 7).text,
    ],
    # The token is another one in every process, and a test's name must not be.
    ids=lambda text: f"{len(text)} characters",
)
def test_garbage_is_refused(text: str) -> None:
    with pytest.raises(UnauthenticatedError) as refusal:
        TOKENS.read(text)
    assert refusal.value.message == "The refresh token is not valid any more; sign in."
    assert refusal.value.path == ("input", "refreshToken")


@pytest.mark.parametrize("position", range(0, 80, 3))
def test_no_character_can_be_changed(position: int) -> None:
    other = "A" if TOKEN.text[position] != "A" else "B"
    with pytest.raises(UnauthenticatedError):
        TOKENS.read(TOKEN.text[:position] + other + TOKEN.text[position + 1 :])
