"""Mail through a real SMTP server (aiosmtpd): in the clear, STARTTLS, TLS, with a login; and one that is not well."""

import asyncio
import socket
import ssl
from contextlib import asynccontextmanager
from email import message_from_bytes
from email.policy import default

import pytest
from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword
from tests.adapters.notify.conftest import ID, parcel

from hawse.adapters.notify import smtp
from hawse.adapters.notify.smtp import Mail, message
from hawse.domain.channel import Means
from hawse.domain.errors import Invalid, Unavailable


class Box:
    """A handler of aiosmtpd. mails: (sender, recipients, message); refuses: what it answers to recipients."""

    def __init__(self) -> None:
        self.mails = []
        self.refuses = ""
        self.port = 0
        self.secure: list[bool] = []

    async def handle_RCPT(self, server, session, envelope, address, options):
        if self.refuses:
            return self.refuses
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        self.secure.append(server.transport.get_extra_info("ssl_object") is not None)
        self.mails.append((envelope.mail_from, envelope.rcpt_tos, envelope.content))
        return "250 taken"


@asynccontextmanager
async def mail_server(*, tls: ssl.SSLContext | None = None, starttls: bool = False, password: str = ""):
    box = Box()

    def check(server, session, envelope, mechanism, data) -> AuthResult:
        good = isinstance(data, LoginPassword) and (data.login, data.password) == (b"me", password.encode())
        return AuthResult(success=good, handled=False)

    def protocol() -> SMTP:
        return SMTP(
            box, hostname="localhost", tls_context=tls if starttls else None, require_starttls=starttls,
            authenticator=check if password else None, auth_required=bool(password),
            auth_require_tls=starttls,
        )  # fmt: skip

    server = await asyncio.get_running_loop().create_server(
        protocol, "127.0.0.1", 0, ssl=tls if tls and not starttls else None
    )
    box.port = server.sockets[0].getsockname()[1]
    try:
        yield box
    finally:
        server.close()


def settings(port: int, **changes):
    return {"host": "127.0.0.1", "port": port, "security": "none", "recipients": ["you@example.org"], **changes}


async def sent(box: Box, secret: bytes | None = None, **changes) -> None:
    async with asyncio.timeout(20):
        await Mail().send(parcel(Means.MAIL, settings(box.port, **changes), secret=secret))


@pytest.mark.requirement("S2.7")
def test_a_mail_comes_with_the_command_to_type_and_a_message_id_of_the_notice() -> None:
    async def main() -> None:
        async with mail_server() as box:
            await sent(box, sender="hawse@example.org", recipients=["a@example.org", "b@example.org"])
            ((sender, recipients, content),) = box.mails
        assert (sender, recipients) == ("hawse@example.org", ["a@example.org", "b@example.org"])
        mail = message_from_bytes(content, policy=default)
        assert mail["Subject"] == "[hawse] train/main failed: exit code 3"
        assert mail["Message-ID"] == f"<{ID}@vm.hawse.invalid>"
        assert mail["Auto-Submitted"] == "auto-generated"
        assert mail["Hawse-Notice"] == ID
        text = mail.get_content()
        assert "    hawse logs train/main" in text.splitlines()
        assert "ü" in text

    asyncio.run(main())


def test_a_repeat_has_the_same_message_id() -> None:
    first, again = (
        message(parcel(Means.MAIL, settings(25), attempts=n, now=1_700_000_000.0 + n)) for n in (1, 5)
    )  # fmt: skip
    assert first["Message-ID"] == again["Message-ID"]


@pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")  # aiosmtpd does not see that all is TLS
@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_protected_with_a_login(security, trusted, tmp_path) -> None:
    async def main() -> None:
        (tmp_path / "pw").write_text("hunter2 ü\nmore\n")
        async with mail_server(tls=trusted, starttls=security == "starttls", password="hunter2 ü") as box:
            await sent(box, b"hunter2 \xc3\xbc", security=security, login="me", host="localhost")
            await sent(box, security=security, login="me", password_file=str(tmp_path / "pw"), host="localhost")
            with pytest.raises(Unavailable, match="refused the login") as caught:
                await sent(box, b"wrong-word", security=security, login="me", host="localhost")
            assert "wrong-word" not in str(caught.value)
            assert box.secure == [True, True]

    asyncio.run(main())


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_a_certificate_that_nobody_vouches_for_is_refused(security, trusted, monkeypatch, tmp_path) -> None:
    async def main() -> None:
        (tmp_path / "none.pem").touch()
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "none.pem"))
        async with mail_server(tls=trusted, starttls=security == "starttls") as box:
            with pytest.raises(Unavailable, match=r"(?i)certificate"):
                await sent(box, security=security, host="localhost")
            assert box.mails == []

    asyncio.run(main())


def test_starttls_is_never_left_out() -> None:
    """A server, or somebody between, that does not offer it gets no mail and no password."""

    async def main() -> None:
        async with mail_server() as box:
            with pytest.raises(Unavailable, match=r"(?i)starttls"):
                await sent(box, b"hunter2", security="starttls", login="me")
            assert box.mails == []

    asyncio.run(main())


def test_recipients_that_are_refused_are_told() -> None:
    async def main() -> None:
        async with mail_server() as box:
            box.refuses = "550 no such mailbox"
            with pytest.raises(Unavailable, match="550 no such mailbox"):
                await sent(box)

    asyncio.run(main())


def test_a_server_that_says_nothing_is_cut_by_the_deadline() -> None:
    async def main() -> None:
        gone = asyncio.Event()

        async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read()
            gone.set()
            writer.close()

        server = await asyncio.start_server(silent, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await Mail().send(parcel(Means.MAIL, settings(port), secret=None))
        async with asyncio.timeout(10):
            await gone.wait()
        server.close()

    asyncio.run(main())


@pytest.mark.parametrize("greeting", [b"", b"220 hi\r\n", b"554 go away\r\n", b"\xff\xfe\r\n", b"220 " + b"x" * 9000])
def test_a_server_that_talks_nonsense_is_a_failure(greeting: bytes, monkeypatch) -> None:
    monkeypatch.setattr(smtp, "STEP_S", 1.0)

    async def main() -> None:
        async def say(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(greeting)
            await writer.drain()
            writer.close()

        server = await asyncio.start_server(say, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(Unavailable, match="mail server"):
            async with asyncio.timeout(20):
                await Mail().send(parcel(Means.MAIL, settings(port), secret=None))
        server.close()

    asyncio.run(main())


def test_nobody_listens() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        with pytest.raises(Unavailable, match="mail server cannot be used"):
            asyncio.run(Mail().send(parcel(Means.MAIL, settings(taken.getsockname()[1]), secret=None)))


@pytest.mark.parametrize("content", [None, b"", b"\n", b"\xff\xfe\n", b"x" * 5000])
def test_a_password_file_that_holds_none_is_told(tmp_path, content: bytes | None) -> None:
    path = tmp_path / "pw"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(Unavailable, match="password file"):
        asyncio.run(smtp._password({"login": "me", "password_file": str(path)}, None))


def test_a_password_that_is_gone_is_told() -> None:
    with pytest.raises(Invalid, match="give it again"):
        asyncio.run(smtp._password({"login": "me", "password_file": ""}, None))
