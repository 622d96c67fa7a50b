"""What another issuer says of a user: in the claims of a token, in a row of its table, or in a webhook."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from string import ascii_lowercase, ascii_uppercase
from typing import Any, Final

from core.errors import UnauthenticatedError
from core.text import is_storable
from models import User
from models.columns import columns_of
from services.accounts.users import MAX_NAME_LENGTH, is_image_url

_MAX_EMAIL_LENGTH: Final = columns_of(User)["email"].maximum or 0
# Some letters of other scripts become ASCII in lower case, which would make another's address of one.
_TO_LOWER_CASE: Final = str.maketrans(ascii_uppercase, ascii_lowercase)


@dataclass(frozen=True, slots=True)
class ExternalProfile:
    """A user as the issuer knows them, at a moment."""

    subject: str
    email: str
    name: str
    image: str | None
    email_verified: bool
    as_of: datetime


def read_profile(said: Mapping[str, Any], subject: str, as_of: datetime) -> ExternalProfile:
    """Return the profile in what is said, by OpenID Connect's names or Better Auth's; refuse it without an address."""
    email = _text(said.get("email")).translate(_TO_LOWER_CASE)
    if not 1 <= len(email) <= _MAX_EMAIL_LENGTH:
        raise UnauthenticatedError(
            "The access token names no usable email address; let its issuer add the claim `email`."
        )
    # Supabase's; users write it themselves, so it may name them but verifies nothing.
    own = said.get("user_metadata")
    more = own if isinstance(own, dict) else {}
    name = _first(said.get("name"), more.get("name"), more.get("full_name")) or email.split("@", maxsplit=1)[0]
    image = _first(said.get("image"), said.get("picture"), more.get("avatar_url"), more.get("picture"))
    return ExternalProfile(
        subject=subject,
        email=email,
        name=name[:MAX_NAME_LENGTH],
        image=image if is_image_url(image) else None,
        email_verified=any(said.get(name) is True for name in ("email_verified", "emailVerified")),
        as_of=as_of,
    )


def _text(value: Any) -> str:
    return value.strip() if isinstance(value, str) and is_storable(value) else ""


def _first(*values: Any) -> str:
    return next(filter(None, map(_text, values)), "")
