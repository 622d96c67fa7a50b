"""The e-mails: their texts, plain and as HTML. They hold nothing that anybody has typed but the recipient's address."""

from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, parseaddr
from html import escape
from typing import Final, NamedTuple

from core.clock import utc_now
from core.tokens import LinkPurpose
from models import EmailKind

_DEFAULT_SENDER: Final = "Tasktalk <no-reply@localhost>"
_PATHS: Final = {LinkPurpose.VERIFY_EMAIL: "/verify-email", LinkPurpose.RESET_PASSWORD: "/reset-password"}
# Longer lines, so that links stay as they are.
_POLICY: Final = SMTP.clone(max_line_length=500)
_VALID: Final = "The link can be used once, within an hour."


class _Text(NamedTuple):
    """What an e-mail says: paragraphs before its link, the words on the link, and paragraphs behind it."""

    subject: str
    before: tuple[str, ...]
    label: str = ""
    after: tuple[str, ...] = ()
    purpose: LinkPurpose | None = None


_TEXTS: Final = {
    EmailKind.VERIFY_EMAIL: _Text(
        "Verify your email address",
        ("Somebody, probably you, has a Tasktalk account with this address. Verify that it is yours:",),
        "Verify the address",
        (_VALID, "If you have made no account, ignore this message."),
        LinkPurpose.VERIFY_EMAIL,
    ),
    EmailKind.CHANGE_EMAIL: _Text(
        "Verify your new email address",
        ("Somebody, probably you, wants to use this address for their Tasktalk account. Verify that it is yours:",),
        "Use this address",
        (_VALID, "If it was not you, ignore this message."),
        LinkPurpose.VERIFY_EMAIL,
    ),
    EmailKind.RESET_PASSWORD: _Text(
        "Set a new password",
        ("Somebody, probably you, has forgotten the password of your Tasktalk account. Set a new one:",),
        "Set a new password",
        (_VALID, "If it was not you, ignore this message: the password stays as it is."),
        LinkPurpose.RESET_PASSWORD,
    ),
    EmailKind.ACCOUNT_EXISTS: _Text(
        "You already have an account",
        (
            "Somebody, probably you, wanted to use this address for a Tasktalk account. It has one already.",
            "Sign in with your password. If you do not know it, set a new one:",
        ),
        "Set a new password",
        (_VALID, "If it was not you, ignore this message: nothing has changed."),
        LinkPurpose.RESET_PASSWORD,
    ),
    EmailKind.EMAIL_CHANGED: _Text(
        "Your email address was changed",
        (
            "Your Tasktalk account has another email address now; this one no longer signs in to it.",
            "If it was not you, somebody knows your password: ask whoever runs this service for help.",
        ),
    ),
}


class LinkBase(NamedTuple):
    """What all messages share: their sender, and where links lead."""

    sender: str | None
    url: str


def purpose_of(kind: EmailKind) -> LinkPurpose | None:
    """Return what the link of an e-mail is for; None if it has none."""
    return _TEXTS[kind].purpose


def kinds_for(purpose: LinkPurpose) -> list[EmailKind]:
    """Return the e-mails whose links are for a purpose."""
    return [kind for kind, each in _TEXTS.items() if each.purpose is purpose]


def compose(kind: EmailKind, email_id: str, address: str, token: str | None, base: LinkBase) -> EmailMessage:
    """Return the message to an address; sent twice, it has the same id, by which mailboxes show it once."""
    said, sender = _TEXTS[kind], base.sender or _DEFAULT_SENDER
    link = f"{base.url}{_PATHS[said.purpose]}?token={token}" if said.purpose is not None else None
    message = EmailMessage(policy=_POLICY)
    message["From"], message["To"], message["Subject"] = sender, address, said.subject
    message["Date"] = format_datetime(utc_now())
    message["Message-ID"] = f"<{email_id}@{parseaddr(sender)[1].rpartition('@')[2]}>"
    message["Auto-Submitted"] = "auto-generated"
    paragraphs = ["Hello,", *said.before, *([link] if link else []), *said.after]
    message.set_content("\n\n".join(paragraphs) + "\n")
    message.add_alternative(_html(said, link), subtype="html")
    return message


def _html(said: _Text, link: str | None) -> str:
    parts = ["Hello,", *map(escape, said.before)]
    if link is not None:
        parts.append(f'<a href="{escape(link)}">{escape(said.label)}</a>')
    body = "\n".join(f"<p>{part}</p>" for part in (*parts, *map(escape, said.after)))
    title = escape(said.subject)
    return f'<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n<title>{title}</title>\n{body}\n</html>\n'
