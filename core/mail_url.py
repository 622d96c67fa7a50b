"""The address of the SMTP server, as EMAIL_URL gives it."""

from dataclasses import dataclass, field
from typing import Final
from urllib.parse import unquote, urlsplit

_PORTS: Final = {"smtp": 587, "smtps": 465}


@dataclass(frozen=True, slots=True)
class MailServer:
    """An SMTP server; what is sent to it is encrypted from the start, or by STARTTLS where it offers that.

    With a user, STARTTLS is required: passwords are never sent in the clear.
    """

    host: str
    port: int
    is_tls: bool
    user: str | None = None
    password: str | None = field(default=None, repr=False)


def parse_mail_url(url: str) -> MailServer:
    """Return the server of `smtp://user:password@host:587` or `smtps://`; raise ValueError, which tells no password."""
    form = "write it such as smtp://user:password@smtp.example.com:587, special characters percent-encoded"
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise ValueError(form) from None
    if parts.scheme not in _PORTS or not host or parts.path.strip("/") or parts.query or parts.fragment:
        raise ValueError(form)
    user, password = (unquote(part) if part else None for part in (parts.username, parts.password))
    if (user is None) != (password is None):
        raise ValueError(form)
    return MailServer(host, port or _PORTS[parts.scheme], parts.scheme == "smtps", user, password)
