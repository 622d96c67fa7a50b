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
NOT_VALID = "The access token is not valid; sign in again."
DEEP = b"[" * 3_000
ABSENT = object()


def header(**changes: Any) -> dict[str, Any]:
    return without_absent({"alg": "HS256", "typ": "JWT", "kid": TOKENS.key_id} | changes)


def claims(**changes: Any) -> dict[str, Any]:
    now = int(time.time())
    made = {"iss": "tasktalk", "aud": "tasktalk", "sub": new_id(), "sid": new_id(), "iat": now, "exp": now + 60}
    return without_absent(made | changes)


def without_absent(content: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in content.items() if value is not ABSENT}


def with_claims(**changes: Any) -> str:
    return compact(header(), claims(**changes), SIGN)


def with_text_claims(**texts: str) -> str:
    """Return a token with values that no JSON writer would give, as raw text."""
    members = {name: json.dumps(value) for name, value in claims().items()} | texts
    return compact(
        header(), ("{" + ",".join(f'"{name}":{text}' for name, text in members.items()) + "}").encode(), SIGN
    )


def test_access_token_names_its_user_session_and_expiry() -> None:
    user_id, session_id = new_id(), new_id()
    token = TOKENS.issue(user_id, session_id)
    read = TOKENS.verify(token.text)
    assert (read.user_id, read.session_id, read.expires_at) == (user_id, session_id, token.expires_at)
    assert timedelta(minutes=29) < token.expires_at - utc_now() <= timedelta(minutes=30)
    assert token.text not in repr(token)
    assert TOKENS.issue(user_id, session_id).text != token.text


def test_access_token_has_the_documented_header_and_claims() -> None:
    token = TOKENS.issue("user", new_id()).text
    assert jwt.get_unverified_header(token) == {"alg": "HS256", "typ": "JWT", "kid": TOKENS.key_id}
    read = jwt.decode(token, SECRET, algorithms=["HS256"], audience="tasktalk", issuer="tasktalk")
    assert read.keys() == {"iss", "aud", "sub", "sid", "iat", "exp", "jti"}


def test_valid_token_made_by_hand_is_accepted() -> None:
    assert TOKENS.verify(compact(header(), claims(sub="x"), SIGN)).user_id == "x"
    assert TOKENS.verify(compact(header(typ=ABSENT), claims(sub="y", aud=["other", "tasktalk"]), SIGN)).user_id == "y"


def test_token_of_another_key_is_refused() -> None:
    others = AccessTokens(SECRET + "!", timedelta(minutes=30))
    assert others.key_id != TOKENS.key_id
    with pytest.raises(UnauthenticatedError, match="not valid"):
        TOKENS.verify(others.issue("user", new_id()).text)


def test_expired_token_is_refused_as_expired() -> None:
    expired = AccessTokens(SECRET, timedelta(seconds=0)).issue("user", new_id()).text
    with pytest.raises(UnauthenticatedError, match="has expired"):
        TOKENS.verify(expired)


def unsigned(token_header: dict[str, Any]) -> str:
    return compact(token_header, claims(), lambda _message: b"")


def tampered() -> str:
    start, _payload, signature = compact(header(), claims(), SIGN).split(".")
    return f"{start}.{encoded(json.dumps(claims(sub='admin')).encode())}.{signature}"


NEXT_CENTURY = 4_200_000_000

HOSTILE: dict[str, Callable[[], str]] = {
    "empty": lambda: "",
    "no token": lambda: "not a token",
    "dots": lambda: "..",
    "two parts": lambda: compact(header(), claims(), SIGN).rpartition(".")[0],
    "five parts, as JWE has": lambda: "a.b.c.d.e",
    "a real JWE header": lambda: f"{encoded(json.dumps({'alg': 'dir', 'enc': 'A128GCM'}).encode())}.a.b.c.d",
    "1 MB": lambda: compact(header(), claims(padding="x" * 1_000_000), SIGN),
    "just over the cap": lambda: compact(header(), claims(padding="x" * 8_192), SIGN),
    "NUL": lambda: compact(header(), claims(), SIGN) + "\0",
    "line feed": lambda: compact(header(), claims(), SIGN) + "\n",
    "padding": lambda: compact(header(), claims(), SIGN) + "=",
    "stray characters": lambda: compact(header(), claims(), SIGN).replace(".", "!.", 1),
    "lone surrogate": lambda: "\ud800." + compact(header(), claims(), SIGN),
    "digits of another script": lambda: "\u0661.\u0661.\u0661",
    "alg none, unsigned": lambda: unsigned(header(alg="none")),
    "alg None": lambda: compact(header(alg="None"), claims(), SIGN),
    "alg none, signed": lambda: compact(header(alg="none"), claims(), SIGN),
    "no alg": lambda: compact(header(alg=ABSENT), claims(), SIGN),
    "alg null": lambda: compact(header(alg=None), claims(), SIGN),
    "alg a list": lambda: compact(header(alg=["HS256"]), claims(), SIGN),
    "alg HS512": lambda: jwt.encode(claims(), SECRET, "HS512", headers={"kid": TOKENS.key_id}),
    "alg RS256": lambda: rs256_key().token(claims(), kid=TOKENS.key_id),
    "no kid": lambda: compact(header(kid=ABSENT), claims(), SIGN),
    "unknown kid": lambda: compact(header(kid="unknown"), claims(), SIGN),
    "kid a number": lambda: compact(header(kid=1), claims(), SIGN),
    "kid a list": lambda: compact(header(kid=[TOKENS.key_id]), claims(), SIGN),
    "kid a path": lambda: compact(header(kid="../../dev/null"), claims(), hmac_sign(b"")),
    "crit": lambda: compact(header(crit=["exp"]), claims(), SIGN),
    "crit unknown": lambda: compact(header(crit=["b64"], b64=False), claims(), SIGN),
    "crit empty": lambda: compact(header(crit=[]), claims(), SIGN),
    "a key of its own": lambda: compact(header(jwk={"kty": "oct", "k": "AA"}), claims(), hmac_sign(b"\0")),
    "an empty secret": lambda: compact(header(), claims(), hmac_sign(b"")),
    "signature cut": lambda: compact(header(), claims(), SIGN)[:-4],
    "claims changed": tampered,
    "header a list": lambda: compact([], claims(), SIGN),
    "header a text": lambda: compact("kid", claims(), SIGN),
    "header no JSON": lambda: compact(b"{", claims(), SIGN),
    "header no UTF-8": lambda: compact(b"\xff\xfe", claims(), SIGN),
    "header nested": lambda: compact(DEEP, claims(), SIGN),
    "header nested in a member": lambda: compact(b'{"alg":"HS256","kid":' + DEEP, claims(), SIGN),
    "claims nested": lambda: compact(header(), DEEP, SIGN),
    "claims nested in a member": lambda: compact(header(), b'{"exp":' + DEEP, SIGN),
    "claims a list": lambda: compact(header(), [], SIGN),
    "claims null": lambda: compact(header(), None, SIGN),
    "claims no JSON": lambda: compact(header(), b"{", SIGN),
    "claims empty": lambda: compact(header(), {}, SIGN),
    **{f"no {name}": partial(with_claims, **{name: ABSENT}) for name in ("iss", "aud", "sub", "sid", "iat", "exp")},
    **{
        f"{name} {value!r}": partial(with_claims, **{name: value})
        for name, values in {
            "iss": ("other", "", None, 1, ["tasktalk"], {"tasktalk": 1}),
            "aud": ("other", "", None, 1, [], ["other"], [["tasktalk"]], {"tasktalk": 1}, "tasktalk,other"),
            "sub": ("", None, 1, True, ["x"], {}, "nul\0", "x" * 256),
            "sid": ("", None, 1, "session", "../..", "0190A1FC-0000-7000-8000-00000000000A", "\0"),
            "iat": ("1", None, True, 1.5, [], NEXT_CENTURY, -(10**15), 10**15),
            "exp": ("9999999999", None, True, 1.5, [], {}, 10**15, 9_999_999_999.5),
            "nbf": ("1", None, True, NEXT_CENTURY, 10**15),
        }.items()
        for value in values
    },
    **{
        f"{name} {text[:12]}": partial(with_text_claims, **{name: text})
        for name in ("exp", "iat", "nbf")
        for text in ("Infinity", "-Infinity", "NaN", "1e999", "9" * 25, "9" * 4_000)
    },
    "sub with a lone surrogate": lambda: with_text_claims(sub='"\\ud800"'),
}


@pytest.mark.parametrize("make", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_token_is_refused(make: Callable[[], str]) -> None:
    token = make()
    with pytest.raises(UnauthenticatedError) as refusal:
        TOKENS.verify(token)
    assert refusal.value.message == NOT_VALID


def test_token_signed_with_a_public_key_as_secret_is_refused() -> None:
    public = rs256_key().published["n"].encode()
    with pytest.raises(UnauthenticatedError, match="not valid"):
        TOKENS.verify(compact(header(), claims(), hmac_sign(public)))


def test_public_key_as_secret_key_is_refused_at_start() -> None:
    pem = f"-----BEGIN PUBLIC KEY-----\n{'A' * 64}\n-----END PUBLIC KEY-----"
    with pytest.raises(SettingsError, match="SECRET_KEY is wrong"):
        AccessTokens(pem, timedelta(minutes=30))


REFRESH_TOKENS = RefreshTokens(SECRET)
REFRESH_TOKEN = REFRESH_TOKENS.issue(new_id(), 7)


def test_refresh_token_carries_its_session_and_generation() -> None:
    assert REFRESH_TOKENS.read(REFRESH_TOKEN.text) == REFRESH_TOKEN
    assert REFRESH_TOKEN.hash == sha256(REFRESH_TOKEN.text.encode()).hexdigest()
    assert REFRESH_TOKEN.text not in repr(REFRESH_TOKEN)
    assert len({REFRESH_TOKENS.issue(REFRESH_TOKEN.session_id, 1).text for _ in range(100)}) == 100


def test_forged_or_changed_refresh_token_is_refused() -> None:
    text = REFRESH_TOKEN.text
    forged = ["", "x", "A" * 80, text[:-1], text + "A", text + "\n", text[:79] + "\u0661", text.swapcase()]
    forged += ["+" + text[1:], "\ud800" * 80, "A" * 1_000_000]
    forged.append(RefreshTokens("another key that signs nothing else").issue(REFRESH_TOKEN.session_id, 7).text)
    forged += [text[:n] + ("A" if text[n] != "A" else "B") + text[n + 1 :] for n in range(80)]
    for each in forged:
        with pytest.raises(UnauthenticatedError) as refusal:
            REFRESH_TOKENS.read(each)
        assert refusal.value.message == "The refresh token is not valid any more; sign in."
        assert refusal.value.path == ("input", "refreshToken")
