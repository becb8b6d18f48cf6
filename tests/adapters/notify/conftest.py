"""Parcels to send, and receivers on this machine: a web server that may hang, a certificate of our own."""

import asyncio
import json
import ssl
import subprocess
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from hawse.domain import channel as channels
from hawse.domain.channel import Means
from hawse.domain.ids import ChannelId, NoticeId
from hawse.domain.notice import Kind, Notice
from hawse.ports.notifier import Parcel
from hawse.services.notice import document

KEY = b"k" * 32
ID = "01890a5d-ac96-774b-bcce-b302099a8057"


def parcel(means: Means = Means.WEBHOOK, settings: dict[str, Any] | None = None, **fields: Any) -> Parcel:
    """One notice for a channel of these settings."""
    now = fields.pop("now", 1_700_000_000.5)
    secret = fields.pop("secret", KEY)
    notice = Notice(
        **{  # type: ignore[arg-type]
            "id": NoticeId(ID), "channel": ChannelId("c"), "principal": "uid:1", "kind": Kind.JOB_FAILED,
            "session": "s", "seq": 3, "state": "waiting", "created_at": now, "due_at": now, "since": now,
            "subject": "train/main failed: exit code 3", "text": "make ü: exit code 3.",
            "command": "hawse logs train/main", "attempts": 1,
            "body": {"session": {"id": "s", "name": "train"}, "job": "main", "event": None, "detail": {"code": 3}},
            **fields,
        }
    )  # fmt: skip
    channel = channels.created(
        id=ChannelId("c"), principal="uid:1", name="desk", means=means, now=now, settings=settings or {}, kinds=(),
    )  # fmt: skip
    return Parcel(notice, channel.settings, document(notice, channel, "vm"), "vm", now, secret)


class Server:
    """A web server. requests: (headers, body) of each; answer: what it does with the next ones."""

    def __init__(self) -> None:
        self.requests: list[tuple[dict[str, str], bytes]] = []
        self.answer: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]] = status(204)
        self.port = 0
        self.open = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open += 1
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            pairs = [line.split(": ", 1) for line in head[1:] if line]
            headers = {name.lower(): value for name, value in pairs} | {":line": head[0]}
            self.requests.append((headers, await reader.readexactly(int(headers.get("content-length", 0)))))
            await self.answer(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            self.open -= 1
            writer.close()

    def url(self, path: str = "/hook", scheme: str = "http") -> str:
        return f"{scheme}://127.0.0.1:{self.port}{path}"

    @property
    def bodies(self) -> list[Any]:
        return [json.loads(body) for _, body in self.requests]


def status(code: int, headers: str = "", body: bytes = b"") -> Callable[..., Awaitable[None]]:
    """Answer with a status."""

    async def answer(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = f"HTTP/1.1 {code} X\r\n{headers}content-length: {len(body)}\r\nconnection: close\r\n\r\n"
        writer.write(head.encode() + body)
        await writer.drain()

    return answer


@asynccontextmanager
async def web_server(tls: ssl.SSLContext | None = None):
    """A server on a loopback port of the kernel's choice."""
    made = Server()
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0, ssl=tls, limit=1 << 24)
    made.port = server.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        server.close()


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for 127.0.0.1 and localhost, signed by itself; its key is in key.pem beside it."""
    folder = tmp_path_factory.mktemp("tls")
    subprocess.run(
        [
            "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
            "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", folder / "key.pem", "-out",
            folder / "cert.pem",
        ],
        check=True, capture_output=True,
    )  # fmt: skip
    return folder / "cert.pem"


@pytest.fixture
def trusted(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """A server's TLS, which programs here trust through SSL_CERT_FILE."""
    from hawse.adapters.notify import webhook

    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    webhook._tls.cache_clear()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, certificate.with_name("key.pem"))
    return context
