"""The remote key set, read from a real HTTP server that rotates keys, fails and stops."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest
from fastapi import Response

from core.errors import UnauthenticatedError
from core.key_sets import GIVE_UP_AFTER_S, REFETCH_AFTER_S, REFRESH_AFTER_S, RemoteKeySet
from core.tokens import Claims, read_key_id, verify_token
from tests.better_auth import (
    BetterAuthServer,
    SigningKey,
    better_auth_server,
    compact,
    ed25519_key,
    encoded,
    es256_key,
    hmac_sign,
    rs256_key,
)
from tests.waiting import PATIENCE_S, until


@dataclass
class Remote:
    """A server of keys, and our view of it at a time that the test moves."""

    server: BetterAuthServer
    now_s: float = 1_000.0

    def __post_init__(self) -> None:
        self.keys = RemoteKeySet(f"{self.server.url}/api/auth/jwks", clock=lambda: self.now_s)

    async def knows(self, key: SigningKey) -> bool:
        return await self.keys.key(key.id) is not None

    async def verify(self, token: str) -> Claims:
        key = await self.keys.key(read_key_id(token))
        assert key is not None
        return verify_token(token, key, issuer=self.server.url, audience=self.server.url)


@pytest.fixture(scope="module")
async def server() -> AsyncIterator[BetterAuthServer]:
    async with better_auth_server() as running:
        yield running


@pytest.fixture
async def remote(server: BetterAuthServer) -> AsyncIterator[Remote]:
    server.reset()
    remote = Remote(server)
    yield remote
    await remote.keys.close()


@pytest.fixture
async def known(remote: Remote) -> SigningKey:
    """Give a key that the server has published and that has been fetched."""
    key = ed25519_key()
    remote.server.publish(key)
    assert await remote.knows(key)
    return key


@pytest.mark.parametrize("make_key", [ed25519_key, es256_key, rs256_key])
async def test_signature_is_verified_with_the_algorithm_of_its_key_only(remote: Remote, make_key: Any) -> None:
    key, other = make_key(), make_key()
    remote.server.publish(key)
    claims = remote.server.claims()
    token = key.token(claims)
    assert (await remote.verify(token)).subject == claims["sub"]
    forged = [compact({"alg": key.algorithm, "kid": key.id}, claims, other.sign)]
    forged += [f"{token.rpartition('.')[0]}.{each}" for each in ("AA", encoded(b"\0" * 64), encoded(b"\xff" * 256))]
    public = hmac_sign(key.published.get("x", key.published.get("n", "")).encode())
    for algorithm in {"EdDSA", "ES256", "RS256", "RS512", "PS256", "HS256", "none"} - {key.algorithm}:
        sign = public if algorithm == "HS256" else key.sign
        forged.append(compact({"alg": algorithm, "kid": key.id}, claims, sign))
    for each in forged:
        with pytest.raises(UnauthenticatedError):
            await remote.verify(each)


async def test_bad_keys_are_skipped(remote: Remote) -> None:
    good = [ed25519_key(), es256_key(), rs256_key()]
    eddsa, es256, rs256 = (key.published for key in good)
    bad: list[Any] = [None, "key", [], {}, {"kid": "no type"}]
    bad += [eddsa | {"kid": key_id} for key_id in (1, "", "x" * 256, ["list"])]
    broken: list[tuple[dict[str, Any], list[dict[str, Any]]]] = [
        (eddsa, [{"x": "AAAA"}, {"x": "\u00e9"}, {"x": 1}, {"crv": "X25519"}, {"crv": []}, {"alg": "HS256"}]),
        (eddsa, [{"use": "enc"}, {"key_ops": ["sign"]}, {"d": "AAAA"}]),
        (es256, [{"y": es256["x"]}, {"y": None}, {"crv": "P-384"}]),
        (rs256, [{"e": "Ag"}, {"n": ""}, {"n": {"n": []}, "e": []}, rs256_key(1024).published]),
        ({"kty": "oct", "k": "AAAA", "alg": "HS256"}, [{}]),
    ]
    changed = [entry | change for entry, changes in broken for change in changes]
    bad += [entry | {"kid": f"broken {number}"} for number, entry in enumerate(changed)]
    remote.server.keys = [*bad, *(key.published for key in good)]
    claims = remote.server.claims()
    for key in good:
        assert (await remote.verify(key.token(claims))).subject == claims["sub"]
    for entry in bad:
        kid = entry.get("kid") if isinstance(entry, dict) else None
        if isinstance(kid, str):
            assert await remote.keys.key(kid) is None
    assert remote.server.requests == 1


async def test_rotation_is_noticed_and_both_keys_work_in_the_overlap(remote: Remote, known: SigningKey) -> None:
    new = ed25519_key()
    remote.now_s += REFETCH_AFTER_S
    remote.server.publish(known, new)
    assert await remote.knows(new)
    assert await remote.knows(known)
    remote.server.publish(new)
    remote.now_s += REFRESH_AFTER_S
    assert await remote.knows(new)
    assert not await remote.knows(known)


async def test_unknown_key_ids_cause_one_request_a_minute(remote: Remote, known: SigningKey) -> None:
    new = ed25519_key()
    assert remote.server.requests == 1
    remote.server.publish(known, new)
    for _ in range(20):
        assert not await remote.knows(ed25519_key())
    assert not await remote.knows(new)
    assert remote.server.requests == 1
    remote.now_s += REFETCH_AFTER_S
    assert await remote.knows(new)
    for _ in range(20):
        assert not await remote.knows(ed25519_key())
    assert remote.server.requests == 2


async def test_concurrent_lookups_share_one_request_that_no_cancellation_ends(remote: Remote) -> None:
    key = ed25519_key()
    remote.server.publish(key)
    remote.server.may_answer.clear()
    first = asyncio.create_task(remote.knows(key))
    others = [asyncio.create_task(remote.knows(key)) for _ in range(50)]
    await until(lambda: remote.server.requests)
    first.cancel()
    remote.server.may_answer.set()
    assert all(await asyncio.gather(*others))
    assert remote.server.requests == 1


async def test_known_keys_are_kept_for_a_day_without_their_server() -> None:
    key = ed25519_key()
    async with better_auth_server() as server:
        server.publish(key)
        remote = Remote(server)
        assert await remote.knows(key)
    remote.now_s += REFRESH_AFTER_S
    assert await remote.knows(key)
    assert await remote.keys.key("unknown") is None
    remote.now_s += GIVE_UP_AFTER_S - REFRESH_AFTER_S - 1
    assert await remote.knows(key)
    remote.now_s += 1
    assert not await remote.knows(key)
    await remote.keys.close()


async def test_first_fetch_is_retried_after_five_seconds(remote: Remote) -> None:
    key = ed25519_key()
    remote.server.publish(key)
    remote.server.answer = Response(status_code=503)
    assert not await remote.knows(key)
    remote.server.answer = None
    assert not await remote.knows(key)
    assert remote.server.requests == 1
    remote.now_s += 5
    assert await remote.knows(key)


async def test_broken_answers_leave_the_known_keys_and_an_empty_set_none(remote: Remote, known: SigningKey) -> None:
    answers = [
        Response(status_code=500),
        Response(status_code=204),
        Response(status_code=302, headers={"location": "/api/auth/jwks"}),
        *(Response(body) for body in (b"", b"<html>", b"[]", b"null", b"{}", b'{"keys":{}}', b"[" * 200_000)),
        Response(b'{"keys":[]}' + b" " * 300_000),
        Response(b"\x1f\x8b broken", headers={"content-encoding": "gzip"}),
    ]
    for count, answer in enumerate(answers, start=2):
        remote.server.answer = answer
        remote.now_s += REFRESH_AFTER_S
        assert await remote.knows(known)
        assert remote.server.requests == count
    remote.server.answer = None
    remote.server.publish()
    remote.now_s += REFRESH_AFTER_S
    assert not await remote.knows(known)


async def test_slow_fetch_leaves_known_keys(remote: Remote, known: SigningKey, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.key_sets._FETCH_TIMEOUT_S", 0.05)
    remote.server.may_answer.clear()
    remote.now_s += REFRESH_AFTER_S
    async with asyncio.timeout(PATIENCE_S):
        assert await remote.knows(known)
    remote.server.may_answer.set()
