"""An Ed25519 key as python-jose takes it at its extension point, `jwk.register_key`."""

from base64 import urlsafe_b64decode
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from jose.backends.base import Key
from jose.exceptions import JWKError


class Ed25519Key(Key):
    """A public key read from its JWK; it verifies, and that is all we need."""

    def __init__(self, key: dict[str, Any], algorithm: str) -> None:
        super().__init__(key, algorithm)
        if algorithm != "EdDSA" or key.get("kty") != "OKP" or key.get("crv") != "Ed25519":
            raise JWKError("an Ed25519 key has kty OKP, crv Ed25519 and alg EdDSA")
        encoded: str = key["x"]
        self._public_key = Ed25519PublicKey.from_public_bytes(urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)))

    def verify(self, msg: bytes, sig: bytes) -> bool:
        """Tell whether the signature of the message was made with this key's other half."""
        try:
            self._public_key.verify(sig, msg)
        except InvalidSignature:
            return False
        return True
