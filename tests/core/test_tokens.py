"""Access tokens and refresh tokens: ours are accepted, and nothing that only resembles one."""

import json
import time
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from hashlib import sha256
from typing import Any

import pytest
from jose import jwt

from core.clock import utc_now
from core.errors import UnauthenticatedError
from core.ids import new_id
from core.settings import SettingsError
from core.tokens import AccessTokens, RefreshTokens
from tests.better_auth import compact, encoded, hmac_sign, rs256_key

SECRET = "a key that signs only the tokens of tests"
TOKENS = AccessTokens(SECRET, timedelta(minutes=30))
SIGN = hmac_sign(SECRET.encode())
DEEP = b"[" * 3_000
ABSENT = object()


def header(**changes: Any) -> dict[str, Any]:
    return changed({"alg": "HS256", "typ": "JWT", "kid": TOKENS.key_id}, changes)


def claims(**changes: Any) -> dict[str, Any]:
    now = int(time.time())
    made = {"iss": "tasktalk", "aud": "tasktalk", "sub": new_id(), "sid": new_id(), "iat": now, "exp": now + 60}
    return changed(made, changes)


def changed(content: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in (content | changes).items() if value is not ABSENT}


def with_header(**changes: Any) -> str:
    return compact(header(**changes), claims(), SIGN)


def with_claims(**changes: Any) -> str:
    return compact(header(), claims(**changes), SIGN)


def with_text_claims(**texts: str) -> str:
    """Return a token with values that no JSON writer would give, as raw text."""
    members = {name: json.dumps(value) for name, value in claims().items()} | texts
    text = ",".join(f'"{name}":{member}' for name, member in members.items())
    return compact(header(), f"{{{text}}}".encode(), SIGN)


def with_many(make: Callable[..., str], changes: dict[str, tuple[Any, ...]]) -> dict[str, Callable[[], str]]:
    """Return what makes a token with each of the values, by name."""
    return {
        f"{name} {'absent' if value is ABSENT else repr(value)[:30]}": partial(make, **{name: value})
        for name, values in changes.items()
        for value in values
    }


def test_access_token_names_its_user_session_and_expiry() -> None:
    user_id, session_id = new_id(), new_id()
    token = TOKENS.issue(user_id, session_id)
    read = TOKENS.verify(token.text)
    assert (read.user_id, read.session_id, read.expires_at) == (user_id, session_id, token.expires_at)
    assert timedelta(minutes=29) < token.expires_at - utc_now() <= timedelta(minutes=30)
    assert token.text not in repr(token)
    assert TOKENS.issue(user_id, session_id, 1).text != token.text
    assert jwt.get_unverified_header(token.text) == header()
    decoded = jwt.decode(token.text, SECRET, algorithms=["HS256"], audience="tasktalk", issuer="tasktalk")
    assert decoded.keys() == {"iss", "aud", "sub", "sid", "iat", "exp", "jti"}


def test_valid_token_made_by_hand_is_accepted() -> None:
    assert TOKENS.verify(with_claims(sub="x")).user_id == "x"
    assert TOKENS.verify(compact(header(typ=ABSENT), claims(sub="y", aud=["other", "tasktalk"]), SIGN)).user_id == "y"


def test_token_of_another_key_or_expired_is_refused() -> None:
    others = AccessTokens(SECRET + "!", timedelta(minutes=30))
    assert others.key_id != TOKENS.key_id
    for tokens, message in ((others, "is not valid"), (AccessTokens(SECRET, timedelta(0)), "has expired")):
        with pytest.raises(UnauthenticatedError, match=message):
            TOKENS.verify(tokens.issue("user", new_id()).text)


def tampered() -> str:
    start, _payload, signature = with_claims().split(".")
    return f"{start}.{encoded(json.dumps(claims(sub='admin')).encode())}.{signature}"


NEXT_CENTURY = 4_200_000_000
NUMBERS = ("Infinity", "-Infinity", "NaN", "1e999", "9" * 25, "9" * 4_000)

HEADERS: list[Any] = [[], "kid", b"{", b"\xff\xfe", DEEP, b'{"alg":"HS256","kid":' + DEEP]
CLAIMS: list[Any] = [[], None, b"{", {}, DEEP, b'{"exp":' + DEEP]

HOSTILE: dict[str, Callable[[], str]] = {
    **{repr(text): partial(str, text) for text in ("", "not a token", "..", "\u0661.\u0661.\u0661", "a.b.c.d.e")},
    "two parts": lambda: with_claims().rpartition(".")[0],
    "a real JWE header": lambda: f"{encoded(json.dumps({'alg': 'dir', 'enc': 'A128GCM'}).encode())}.a.b.c.d",
    "1 MB": lambda: with_claims(padding="x" * 1_000_000),
    "just over the cap": lambda: with_claims(padding="x" * 8_192),
    **{f"{tail!r} behind": lambda tail=tail: with_claims() + tail for tail in "\0\n="},  # type: ignore[misc]
    "stray characters": lambda: with_claims().replace(".", "!.", 1),
    "lone surrogate": lambda: "\ud800." + with_claims(),
    "alg none, unsigned": lambda: compact(header(alg="none"), claims(), lambda _message: b""),
    "alg HS512": lambda: jwt.encode(claims(), SECRET, "HS512", headers={"kid": TOKENS.key_id}),
    "alg RS256": lambda: rs256_key().token(claims(), kid=TOKENS.key_id),
    "kid a path": lambda: compact(header(kid="../../dev/null"), claims(), hmac_sign(b"")),
    "crit unknown": partial(with_header, crit=["b64"], b64=False),
    "a key of its own": lambda: compact(header(jwk={"kty": "oct", "k": "AA"}), claims(), hmac_sign(b"\0")),
    "an empty secret": lambda: compact(header(), claims(), hmac_sign(b"")),
    "a public key as secret": lambda: compact(header(), claims(), hmac_sign(rs256_key().published["n"].encode())),
    "signature cut": lambda: with_claims()[:-4],
    "claims changed": tampered,
    **with_many(
        with_header,
        {
            "alg": ("None", "none", None, ["HS256"], ABSENT),
            "kid": ("unknown", 1, [TOKENS.key_id], ABSENT),
            "crit": (["exp"], []),
        },
    ),
    **{f"header {each!r:.20}": partial(compact, each, claims(), SIGN) for each in HEADERS},
    **{f"claims {each!r:.20}": partial(compact, header(), each, SIGN) for each in CLAIMS},
    **with_many(
        with_claims,
        {
            "iss": ("other", "", None, 1, ["tasktalk"], {"tasktalk": 1}, ABSENT),
            "aud": ("other", "", None, 1, [], ["other"], [["tasktalk"]], {"tasktalk": 1}, "tasktalk,other", ABSENT),
            "sub": ("", None, 1, True, ["x"], {}, "nul\0", "x" * 256, ABSENT),
            "sid": ("", None, 1, "session", "../..", "0190A1FC-0000-7000-8000-00000000000A", "\0", ABSENT),
            "iat": ("1", None, True, 1.5, [], NEXT_CENTURY, -(10**15), 10**15, ABSENT),
            "exp": ("9999999999", None, True, 1.5, [], {}, 10**15, 9_999_999_999.5, ABSENT),
            "nbf": ("1", None, True, NEXT_CENTURY, 10**15),
        },
    ),
    **with_many(with_text_claims, {"exp": NUMBERS, "iat": NUMBERS, "nbf": NUMBERS}),
    "sub with a lone surrogate": lambda: with_text_claims(sub='"\\ud800"'),
}


@pytest.mark.parametrize("make", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_token_is_refused(make: Callable[[], str]) -> None:
    token = make()
    with pytest.raises(UnauthenticatedError, match=r"^The access token is not valid; sign in again\.$"):
        TOKENS.verify(token)


def test_public_key_as_secret_key_is_refused_at_start() -> None:
    pem = f"-----BEGIN PUBLIC KEY-----\n{'A' * 64}\n-----END PUBLIC KEY-----"
    with pytest.raises(SettingsError, match="SECRET_KEY is wrong"):
        AccessTokens(pem, timedelta(minutes=30))


REFRESH_TOKENS = RefreshTokens(SECRET)
REFRESH_TOKEN = REFRESH_TOKENS.issue(new_id(), 7, "a seed")


def test_refresh_token_carries_its_session_and_generation() -> None:
    assert REFRESH_TOKENS.read(REFRESH_TOKEN.text) == REFRESH_TOKEN
    assert REFRESH_TOKEN.hash == sha256(REFRESH_TOKEN.text.encode()).hexdigest()
    assert REFRESH_TOKEN.text not in repr(REFRESH_TOKEN)
    assert REFRESH_TOKENS.issue(REFRESH_TOKEN.session_id, 7, "a seed") == REFRESH_TOKEN
    session_id = REFRESH_TOKEN.session_id
    others = [(session_id, 7, "another"), (session_id, 8, "a seed"), (new_id(), 7, "a seed")]
    secrets = [token.text[27:59] for token in (REFRESH_TOKEN, *(REFRESH_TOKENS.issue(*other) for other in others))]
    assert len(set(secrets)) == 4


def test_forged_or_changed_refresh_token_is_refused() -> None:
    text = REFRESH_TOKEN.text
    forged = ["", "x", "A" * 80, text[:-1], text + "A", text + "\n", text[:79] + "\u0661", text.swapcase()]
    forged += ["+" + text[1:], "\ud800" * 80, "A" * 1_000_000]
    others = RefreshTokens("another key that signs nothing else")
    forged.append(others.issue(REFRESH_TOKEN.session_id, 7, "a seed").text)
    forged += [text[:n] + ("A" if text[n] != "A" else "B") + text[n + 1 :] for n in range(80)]
    for each in forged:
        with pytest.raises(UnauthenticatedError) as refusal:
            REFRESH_TOKENS.read(each)
        assert refusal.value.message == "The refresh token is not valid any more; sign in."
        assert refusal.value.path == ("input", "refreshToken")
