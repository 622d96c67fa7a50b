"""Sending of e-mail by SMTP; without a server, in development, to the log and a folder."""

import asyncio
import logging
import secrets
import ssl
from email.message import EmailMessage
from pathlib import Path
from typing import Final

import aiosmtplib

from core.clock import utc_now
from core.mail_url import MailServer, parse_mail_url
from core.settings import DATA_FOLDER, Settings

MAIL_FOLDER: Final = DATA_FOLDER / "mail"
TIMEOUT_S: Final = 30.0
_PERMANENT: Final = range(500, 600)

_log = logging.getLogger(__name__)


class MailError(Exception):
    """An e-mail was not taken; the message holds no address. It is final where trying again is of no use."""

    def __init__(self, message: str, *, is_final: bool = False) -> None:
        super().__init__(message)
        self.is_final = is_final


class Mailer:
    """Hands e-mails over, one connection each."""

    def __init__(self, settings: Settings) -> None:
        self._server = parse_mail_url(settings.email_url) if settings.email_url else None

    async def send(self, message: EmailMessage) -> None:
        """Send the message to its `To`; raise MailError where the server does not take it."""
        if self._server is None:
            _keep(message, MAIL_FOLDER)
            return
        try:
            async with asyncio.timeout(TIMEOUT_S):
                await _send(self._server, message)
        except aiosmtplib.SMTPRecipientsRefused as error:
            codes = [each.code for each in error.recipients]
            is_final = all(code in _PERMANENT for code in codes)
            raise MailError(f"the recipient was refused: {codes}", is_final=is_final) from None
        except aiosmtplib.SMTPResponseException as error:
            raise MailError(f"{type(error).__name__}, {error.code}") from None
        except (aiosmtplib.SMTPException, OSError, ssl.SSLError) as error:
            raise MailError(type(error).__name__) from None


async def _send(server: MailServer, message: EmailMessage) -> None:
    await aiosmtplib.send(
        message,
        hostname=server.host,
        port=server.port,
        username=server.user,
        password=server.password,
        use_tls=server.is_tls,
        # None: where the server offers it.
        # The name of this machine would be looked up, and says more than anybody needs to know.
        local_hostname=message["From"].addresses[0].domain,
        start_tls=False if server.is_tls else (True if server.user is not None else None),
        timeout=TIMEOUT_S,
    )


def _keep(message: EmailMessage, folder: Path) -> None:
    """Print the message and keep it as a file, which only its owner may read."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{utc_now():%Y%m%d-%H%M%S}-{secrets.token_hex(4)}.eml"
    path.touch(mode=0o600)
    path.write_bytes(bytes(message))
    plain = message.get_body(("plain",))
    text = "" if plain is None else plain.get_content()
    _log.info("E-mail to %s, kept as %s: %s\n\n%s", message["To"], path, message["Subject"], text)
