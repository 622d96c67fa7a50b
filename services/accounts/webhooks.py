"""Webhooks by which an identity provider tells of its users: Standard Webhooks, which Clerk sends by Svix's names."""

import hmac
from base64 import b64decode, b64encode
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from sqlalchemy.exc import IntegrityError

from core.clock import read_moment, utc_now
from core.errors import BadUserInputError, NotFoundError, UnauthenticatedError
from core.text import is_storable
from core.tokens import MAX_SUBJECT_LENGTH
from services.accounts.authentication import Authenticator
from services.accounts.external_profile import ExternalProfile, read_profile

_STANDARD: Final = b"webhook-"
_SVIX: Final = b"svix-"
_VERSION: Final = b"v1,"
_TOLERANCE: Final = timedelta(minutes=5)
_MAX_TIMESTAMP_DIGITS: Final = 12
_UPDATED: Final = "user.updated"
_DELETED: Final = "user.deleted"


def verify_webhook(secret: str, headers: Mapping[bytes, bytes], body: bytes) -> datetime:
    """Return when a webhook was sent; raise UnauthenticatedError unless it is signed with the secret, and just now."""
    prefix = _SVIX if _SVIX + b"id" in headers else _STANDARD
    message_id, sent, signatures = (headers.get(prefix + name, b"") for name in (b"id", b"timestamp", b"signature"))
    key = b64decode(secret.removeprefix("whsec_"))
    expected = b64encode(hmac.digest(key, b".".join((message_id, sent, body)), "sha256"))
    is_signed = [hmac.compare_digest(_VERSION + expected, each) for each in signatures.split(b" ")]
    if not (message_id and any(is_signed) and sent.isdigit() and len(sent) <= _MAX_TIMESTAMP_DIGITS):
        raise UnauthenticatedError("The webhook is not signed with AUTH_WEBHOOK_SECRET.")
    if abs(utc_now().timestamp() - int(sent)) > _TOLERANCE.total_seconds():
        raise UnauthenticatedError("The webhook was signed too long ago, or a clock is wrong.")
    return datetime.fromtimestamp(int(sent), UTC)


async def receive_webhook(authenticator: Authenticator, event: Any, sent_at: datetime) -> None:
    """Carry out what an event says; one that says nothing of a user's change or deletion is passed over."""
    provider = authenticator.identity_provider
    kind, user = (event.get("type"), event.get("data")) if isinstance(event, dict) else (None, None)
    if provider is None or kind not in (_UPDATED, _DELETED):
        return
    user = user if isinstance(user, dict) else {}
    subject = user.get("id")
    if not isinstance(subject, str) or not 1 <= len(subject) <= MAX_SUBJECT_LENGTH or not is_storable(subject):
        raise BadUserInputError("The webhook names no user: data.id must be a text.")
    if kind == _UPDATED:
        profile = _read_profile(user, subject, _moment_of(event, user) or sent_at)
        if profile is not None:
            await provider.update(profile)
        return
    try:
        deleted = await provider.delete(subject)
    except (IntegrityError, NotFoundError):
        # The same event, carried out at the same moment.
        return
    if deleted is not None:
        authenticator.invalidate(deleted)


def _read_profile(user: Mapping[str, Any], subject: str, as_of: datetime) -> ExternalProfile | None:
    """Return the profile of a user as Clerk or Better Auth writes one; None if it has no address."""
    try:
        return read_profile(_of_clerk(user) if "email_addresses" in user else user, subject, as_of)
    except UnauthenticatedError:
        return None


def _of_clerk(user: Mapping[str, Any]) -> dict[str, Any]:
    listed = user["email_addresses"] if isinstance(user["email_addresses"], list) else []
    addresses = [each for each in listed if isinstance(each, dict) and each.get("id") is not None]
    primary = next((each for each in addresses if each["id"] == user.get("primary_email_address_id")), {})
    verification = primary.get("verification")
    names = (user.get("first_name"), user.get("last_name"))
    return {
        "email": primary.get("email_address"),
        "email_verified": isinstance(verification, dict) and verification.get("status") == "verified",
        "name": " ".join(name for name in names if isinstance(name, str) and name),
        "picture": user.get("image_url"),
    }


def _moment_of(event: Mapping[str, Any], user: Mapping[str, Any]) -> datetime | None:
    """Return when the user was changed, in milliseconds or as RFC 3339."""
    for said in (user.get("updated_at"), user.get("updatedAt"), event.get("timestamp")):
        try:
            return datetime.fromtimestamp(said / 1000, UTC) if type(said) is int else read_moment(said)
        except (ValueError, OverflowError, OSError):
            continue
    return None
