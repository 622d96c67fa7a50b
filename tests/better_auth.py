"""A Better Auth server as far as we see one: keys, a key set served over HTTP, and tokens signed by hand."""

import asyncio
import hmac
import time
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import orjson
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from fastapi import FastAPI, Request, Response

from core.ids import new_id
from tests.servers import serve

Sign = Callable[[bytes], bytes]


def encoded(content: bytes) -> str:
    return urlsafe_b64encode(content).rstrip(b"=").decode()


def encoded_number(number: int) -> str:
    return encoded(number.to_bytes((number.bit_length() + 7) // 8))


def compact(header: Any, payload: Any, sign: Sign) -> str:
    """Return a token of whatever header and payload, bytes included."""
    parts = [encoded(part if isinstance(part, bytes) else orjson.dumps(part)) for part in (header, payload)]
    return f"{'.'.join(parts)}.{encoded(sign('.'.join(parts).encode()))}"


def hmac_sign(key: bytes) -> Sign:
    return lambda message: hmac.digest(key, message, "sha256")


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A key pair: the half that signs, and the other as it is published."""

    algorithm: str
    sign: Sign
    published: dict[str, Any]

    @property
    def id(self) -> str:
        key_id: str = self.published["kid"]
        return key_id

    def token(self, claims: dict[str, Any], **header: Any) -> str:
        return compact({"alg": self.algorithm, "kid": self.id} | header, claims, self.sign)


def ed25519_key() -> SigningKey:
    key = ed25519.Ed25519PrivateKey.generate()
    public = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    published = {"kid": new_id(), "kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "x": encoded(public)}
    return SigningKey("EdDSA", key.sign, published)


def es256_key() -> SigningKey:
    key = ec.generate_private_key(ec.SECP256R1())
    numbers = key.public_key().public_numbers()
    published = {"kid": new_id(), "kty": "EC", "crv": "P-256", "x": encoded(numbers.x.to_bytes(32))}

    def sign(message: bytes) -> bytes:
        r, s = decode_dss_signature(key.sign(message, ec.ECDSA(SHA256())))
        return r.to_bytes(32) + s.to_bytes(32)

    return SigningKey("ES256", sign, published | {"y": encoded(numbers.y.to_bytes(32))})


def rs256_key(bits: int = 2048) -> SigningKey:
    key = rsa.generate_private_key(65537, bits)
    numbers = key.public_key().public_numbers()
    published = {"kid": new_id(), "kty": "RSA", "n": encoded_number(numbers.n), "e": encoded_number(numbers.e)}
    return SigningKey("RS256", lambda message: key.sign(message, padding.PKCS1v15(), SHA256()), published)


@dataclass(slots=True)
class BetterAuthServer:
    """A server that publishes keys, and counts who asks for them."""

    url: str = ""
    keys: list[Any] = field(default_factory=list)
    answer: Response | None = None
    may_answer: asyncio.Event = field(default_factory=asyncio.Event)
    requests: int = 0

    def publish(self, *keys: SigningKey) -> None:
        self.keys = [key.published for key in keys]

    def claims(self, **changes: Any) -> dict[str, Any]:
        """Return the claims of a user never seen before; a change to None leaves the claim out."""
        user_id, now = new_id(), int(time.time())
        claims = {
            "sub": user_id,
            "email": f"{user_id}@example.com",
            "name": "Ada",
            "image": None,
            "emailVerified": True,
            "iss": self.url,
            "aud": self.url,
            "iat": now,
            "exp": now + 900,
        }
        return {name: value for name, value in (claims | changes).items() if value is not None}

    def reset(self) -> None:
        """Be as at the start, for the next test."""
        self.keys, self.answer, self.requests = [], None, 0
        self.may_answer.set()

    async def respond(self, request: Request) -> Response:
        assert request.url.path == "/api/auth/jwks"
        self.requests += 1
        await self.may_answer.wait()
        return self.answer or Response(orjson.dumps({"keys": self.keys}), media_type="application/json")


@asynccontextmanager
async def better_auth_server() -> AsyncIterator[BetterAuthServer]:
    """Run such a server; it is down when the context is left."""
    server = BetterAuthServer()
    server.reset()
    app = FastAPI()
    app.add_route("/{path:path}", server.respond)
    async with serve(app) as running:
        server.url = running.url
        yield server
