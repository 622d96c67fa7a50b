"""A real SMTP server in the loop of the tests, and what has arrived there."""

import asyncio
import re
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Any, Final

import httpx2
from aiosmtpd.smtp import SMTP, Envelope, Session
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy import select, update

from core.clock import utc_now
from core.database import Database
from core.settings import Settings
from models import Email, EmailKind
from services.accounts.outbox import Outbox
from services.query.sql import execute, fetch_all, table_of
from tests.graph_client import GraphClient
from tests.servers import RunningServer, serve_with
from tests.services.account_services import PASSWORD, new_email
from tests.waiting import until

_EMAILS: Final = table_of(Email)
SENDER: Final = "Tasktalk <no-reply@example.com>"
_LINK: Final = re.compile(r"https?://\S+/(verify-email|reset-password)\?token=(\S+)")


@dataclass
class Mailbox:
    """What a server was handed, in order; it refuses recipients or messages with a reply where there is one."""

    port: int = 0
    messages: list[EmailMessage] = field(default_factory=list)
    refuses_recipient: str = ""
    refuses_message: str = ""

    @property
    def settings(self) -> dict[str, Any]:
        return {"email_url": f"smtp://127.0.0.1:{self.port}", "email_from": SENDER}

    async def handle_RCPT(self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _: Any) -> str:  # noqa: N802 - aiosmtpd says what its hooks are called and take
        if not self.refuses_recipient:
            envelope.rcpt_tos.append(address)
        return self.refuses_recipient or "250 OK"

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802 - as above
        if self.refuses_message:
            return self.refuses_message
        message = message_from_bytes(envelope.original_content or b"", _class=EmailMessage, policy=default)
        assert envelope.rcpt_tos == [message["To"]]
        self.messages.append(message)
        return "250 OK"

    async def next(self, subject: str = "", to: str = "") -> EmailMessage:
        """Return the message that has arrived first, of those with that subject or recipient, and forget it."""

        def found() -> list[EmailMessage]:
            return [each for each in self.messages if subject in each["Subject"] and to in each["To"]]

        await until(found)
        message = found()[0]
        self.messages.remove(message)
        return message

    async def token(self, subject: str = "", to: str = "") -> str:
        """Return the token of the next message's link."""
        return token_of(await self.next(subject, to))


@asynccontextmanager
async def mail_server(**options: Any) -> AsyncIterator[Mailbox]:
    """Listen on a free port."""
    mailbox = Mailbox()
    loop = asyncio.get_running_loop()
    listener = await loop.create_server(lambda: SMTP(mailbox, loop=loop, **options), "127.0.0.1", 0)
    mailbox.port = listener.sockets[0].getsockname()[1]
    async with listener:
        yield mailbox


def plain_text(message: EmailMessage) -> str:
    plain = message.get_body(("plain",))
    assert plain is not None
    text: str = plain.get_content()
    return text


def token_of(message: EmailMessage) -> str:
    found = _LINK.search(plain_text(message))
    assert found is not None
    return found[2]


@asynccontextmanager
async def sending(database: Database, settings: Settings) -> AsyncIterator[Outbox]:
    """Run the outbox of a process."""
    outbox = Outbox(database, settings)
    task = asyncio.create_task(outbox.run())
    try:
        yield outbox
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def certificate(folder: Path) -> tuple[ssl.SSLContext, Path]:
    """Return the side of a server that is called localhost, and the file of who vouches for it."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([])
    moment, host = utc_now(), x509.SubjectAlternativeName([x509.DNSName("localhost")])
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(moment - timedelta(days=1)).not_valid_after(moment + timedelta(days=1))
    builder = builder.add_extension(host, critical=True)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    public, private = folder / "certificate.pem", folder / "key.pem"
    public.write_bytes(builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    form = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    private.write_bytes(key.private_bytes(serialization.Encoding.PEM, *form))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(public, private)
    return context, public


@dataclass(frozen=True)
class Mailing:
    """A server that sends e-mail, its clients, and the mailbox of everybody."""

    server: RunningServer
    http: httpx2.AsyncClient
    mailbox: Mailbox
    database: Database

    @property
    def client(self) -> GraphClient:
        return GraphClient(self.http)

    async def sign_up(self, email: str | None = None, **values: Any) -> dict[str, Any]:
        account: dict[str, Any] = {"email": email or new_email(), "password": PASSWORD, "name": "Ada"} | values
        return account | {"payload": await self.client.mutate("signUp", account)}

    async def ask(self, name: str, given: dict[str, Any] | None = None, as_: Any = None) -> dict[str, Any]:
        return await self.client.mutate(name, given, as_=as_)

    async def emails(self, address: str) -> list[Any]:
        return await rows_of(self.database, address)


@asynccontextmanager
async def serve_mail(
    settings: Settings, database: Database, mailbox: Mailbox, **overrides: Any
) -> AsyncIterator[Mailing]:
    mailbox.messages.clear()
    limits = {"emails_per_address": 1_000}
    async with serve_with(settings, **mailbox.settings | limits | overrides) as server, server.client() as http:
        yield Mailing(server, http, mailbox, database)


async def write_email(written: Outbox, address: str, user_id: str) -> None:
    database = written._database  # noqa: SLF001 - that of the test
    await database.write(lambda session: written.add(session, EmailKind.VERIFY_EMAIL, address, user_id))
    written.wake()


async def rows_of(database: Database, address: str) -> list[Any]:
    async with database.read() as session:
        return list(await fetch_all(session, select(_EMAILS).where(_EMAILS.c.address == address)))


async def change_emails(database: Database, address: str, **values: Any) -> None:
    statement = update(_EMAILS).where(_EMAILS.c.address == address).values(values)
    await database.write(lambda session: execute(session, statement))


async def was_given_up(database: Database, address: str) -> bool:
    return await rows_of(database, address) == []


async def was_tried(database: Database, address: str) -> bool:
    return [row.attempts for row in await rows_of(database, address)] == [1]


async def was_sent(database: Database, address: str) -> bool:
    return [row.due_at for row in await rows_of(database, address)] == [None]
