"""A notice as a mail, by SMTP. The Message-ID comes from the notice's id, so that a server may drop a repeat."""

from __future__ import annotations

import asyncio
import os
import re
import ssl
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from typing import Any

from hawse.domain.channel import PASSWORD_LENGTH_MAX
from hawse.domain.errors import Invalid, Unavailable
from hawse.ports.notifier import Parcel

STEP_S = 20.0  # for each answer of the server; the whole try has a deadline of its own
_HOST = re.compile(r"[^A-Za-z0-9.-]+")


def message(parcel: Parcel) -> EmailMessage:
    """The mail: plain text, with what to type on a line of its own."""
    notice, settings = parcel.notice, parcel.settings
    mail = EmailMessage(policy=SMTP)
    mail["Subject"] = f"[hawse] {notice.subject}"
    mail["From"] = settings["sender"]
    mail["To"] = ", ".join(settings["recipients"])
    mail["Date"] = format_datetime(datetime.fromtimestamp(notice.created_at, UTC))
    mail["Message-ID"] = f"<{notice.id}@{_host(parcel)}.hawse.invalid>"
    mail["Auto-Submitted"] = "auto-generated"  # RFC 3834: nobody's vacation answers
    mail["Hawse-Notice"] = notice.id
    mail["Hawse-Kind"] = notice.kind.value
    lines = [notice.text, "", f"    {notice.command}", "", f"On {parcel.host}, notice {notice.id}."]
    mail.set_content("\n".join(lines) + "\n", cte="quoted-printable")
    return mail


def _host(parcel: Parcel) -> str:
    """This machine's name, as a mail may hold it."""
    return _HOST.sub("-", parcel.host).strip("-.") or "localhost"


class Mail:
    """See ports/notifier.py. settings: host, port, security, sender, recipients, login, password_file."""

    async def send(self, parcel: Parcel) -> None:
        import aiosmtplib  # only who has mail needs it

        settings = parcel.settings
        password = await _password(settings, parcel.secret)
        security = settings["security"]
        client = aiosmtplib.SMTP(
            hostname=settings["host"], port=settings["port"], timeout=STEP_S, use_tls=security == "tls",
            start_tls=security == "starttls", tls_context=None if security == "none" else ssl.create_default_context(),
            local_hostname=_host(parcel),  # else the name service is asked, and everybody waits for it
        )  # fmt: skip
        try:
            async with client:
                if password is not None:
                    await client.login(settings["login"], password)
                await client.send_message(message(parcel), sender=settings["sender"], recipients=settings["recipients"])
        except aiosmtplib.SMTPAuthenticationError as error:
            raise Unavailable(f"the mail server refused the login ({error.code})") from error
        except aiosmtplib.SMTPRecipientsRefused as error:
            raise Unavailable(f"the mail server refused the recipients: {_answers(error.recipients)}") from error
        except aiosmtplib.SMTPTimeoutError as error:
            raise Unavailable("the mail server did not answer in time") from error
        except aiosmtplib.SMTPResponseException as error:
            raise Unavailable(f"the mail server answered {error.code} {error.message[:200]}") from error
        except (aiosmtplib.SMTPException, OSError) as error:
            raise Unavailable(f"the mail server cannot be used: {str(error)[:200] or type(error).__name__}") from error


def _answers(refused: list[Any]) -> str:
    return "; ".join(f"{one.recipient}: {one.code} {one.message[:100]}" for one in refused[:3])


async def _password(settings: Any, secret: bytes | None) -> str | None:
    if not settings["login"]:
        return None
    if settings["password_file"]:
        return await asyncio.to_thread(_read, settings["password_file"])
    if secret is None:
        raise Invalid("the password is gone; give it again with: hawse notify set")
    return secret.decode()


def _read(path: str) -> str:
    """The file's first line. Its words never stand in an error."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # a pipe must not hold us up
        try:
            line = os.read(descriptor, PASSWORD_LENGTH_MAX + 2).split(b"\n")[0].rstrip(b"\r")
        finally:
            os.close(descriptor)
        if not 0 < len(line) <= PASSWORD_LENGTH_MAX:
            raise Unavailable("the password file has no password in its first line")
        return line.decode()
    except UnicodeDecodeError:
        raise Unavailable("the password file is not UTF-8") from None
    except OSError as error:
        raise Unavailable(f"the password file cannot be read: {error.strerror}") from error
