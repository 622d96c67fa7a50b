"""Email addresses: one spelling each, checked as browsers check them."""

import re
from typing import Final

MOST_EMAIL_LENGTH: Final = 254

_LABEL: Final = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
# The WHATWG's definition of a valid address, for `input type=email`.
_FORM: Final = re.compile(rf"[a-z0-9.!#$%&'*+/=?^_`{{|}}~-]+@{_LABEL}(?:\.{_LABEL})*")


def normal_email(text: str) -> str | None:
    """Return the address without white space around it and in lower case, or None where it is no address."""
    email = text.strip().lower()
    # Some letters of other scripts become ASCII in lower case.
    is_address = text.isascii() and len(email) <= MOST_EMAIL_LENGTH and _FORM.fullmatch(email)
    return email if is_address else None
