"""Webhooks against a real server that is well, slow, silent, gone, redirects, floods; and the signature."""

import asyncio
import base64
import hashlib
import hmac
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.adapters.notify.conftest import ID, KEY, parcel, status, web_server

from hawse.adapters.notify import webhook
from hawse.adapters.notify.webhook import Webhook, signature
from hawse.domain.errors import Invalid, Unavailable


@pytest.mark.requirement("S2.7")
def test_a_notice_is_posted_signed_and_once() -> None:
    async def main() -> None:
        async with web_server() as server:
            await Webhook().send(parcel(settings={"url": server.url("/a?b=c")}))
            ((headers, body),) = server.requests
        assert headers[":line"] == "POST /a?b=c HTTP/1.1"
        assert headers["content-type"] == "application/json"
        assert headers["webhook-id"] == ID
        assert headers["webhook-timestamp"] == "1700000000"
        signed = f"{ID}.1700000000.".encode() + body
        expected = base64.b64encode(hmac.new(KEY, signed, hashlib.sha256).digest()).decode()
        assert headers["webhook-signature"] == f"v1,{expected}"
        (told,) = server.bodies
        assert told["id"] == ID
        assert told["session"] == {"id": "s", "name": "train"}
        assert told["command"] == "hawse logs train/main"
        assert "ü" in told["text"]

    asyncio.run(main())


def test_the_example_of_the_standard_signs_as_it_says() -> None:
    """Source: Standard Webhooks 1.0, its reference implementations' test vector."""
    key = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    made = signature(key, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
    assert made == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@given(st.binary(max_size=200), st.binary(max_size=200), st.integers(0, 2**40), st.integers(0, 2**40))
def test_another_body_or_time_has_another_signature(body: bytes, other: bytes, time: int, later: int) -> None:
    same = (body, time) == (other, later)
    assert (signature(KEY, ID, time, body) == signature(KEY, ID, later, other)) == same


@pytest.mark.parametrize(
    ("code", "kind", "why"),
    [(500, Unavailable, "it answered 500"), (429, Unavailable, "429"), (404, Unavailable, "404"),
     (401, Unavailable, "401"), (410, Invalid, "wants no more")],
)  # fmt: skip
def test_other_answers_are_failures(code: int, kind: type[Exception], why: str) -> None:
    async def main() -> None:
        async with web_server() as server:
            server.answer = status(code, body=b"a secret page")
            with pytest.raises(kind, match=why) as caught:
                await Webhook().send(parcel(settings={"url": server.url()}))
            assert "secret" not in str(caught.value)

    asyncio.run(main())


@pytest.mark.parametrize("code", [301, 302, 307, 308])
def test_redirects_are_not_followed(code: int) -> None:
    async def main() -> None:
        async with web_server() as other, web_server() as server:
            server.answer = status(code, f"location: {other.url()}\r\n")
            with pytest.raises(Unavailable, match=f"answered {code}, which sends elsewhere"):
                await Webhook().send(parcel(settings={"url": server.url()}))
            assert other.requests == []

    asyncio.run(main())


def test_one_that_hangs_is_cut_by_the_deadline_and_leaves_no_connection(eventually) -> None:
    async def main() -> None:
        async with web_server() as server:
            never = asyncio.Event()

            async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                assert await reader.read() == b"", "the other end went away"
                never.set()

            server.answer = hang
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.3):
                    await Webhook().send(parcel(settings={"url": server.url()}))
            async with asyncio.timeout(10):
                await never.wait()

    asyncio.run(main())


def test_one_that_drips_is_cut_by_the_deadline() -> None:
    async def main() -> None:
        async with web_server() as server:

            async def drip(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                writer.write(b"HTTP/1.1 200 OK\r\n")
                while True:
                    writer.write(b"x: y\r\n")
                    await writer.drain()
                    await asyncio.sleep(0.01)

            server.answer = drip
            with pytest.raises((TimeoutError, Unavailable)):
                async with asyncio.timeout(0.5):
                    await Webhook().send(parcel(settings={"url": server.url()}))

    asyncio.run(main())


def test_an_endless_answer_is_cut_off_and_its_status_counts() -> None:
    async def main() -> None:
        async with web_server() as server:

            async def flood(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: x\r\n\r\n")
                while True:
                    writer.write(b"x" * 65536)
                    await writer.drain()

            server.answer = flood
            async with asyncio.timeout(20):
                await Webhook().send(parcel(settings={"url": server.url()}))

    asyncio.run(main())


@pytest.mark.parametrize("answer", [b"", b"nonsense\r\n\r\n", b"HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n"])
def test_what_is_no_http_is_a_failure(answer: bytes) -> None:
    async def main() -> None:
        async with web_server() as server:

            async def say(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                writer.write(answer)
                await writer.drain()

            server.answer = say
            with pytest.raises(Unavailable, match="cannot be reached"):
                await Webhook().send(parcel(settings={"url": server.url()}))

    asyncio.run(main())


def test_nobody_listens() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/"
        with pytest.raises(Unavailable, match="cannot be reached"):
            asyncio.run(Webhook().send(parcel(settings={"url": url})))


def test_tls_is_checked(trusted, monkeypatch, tmp_path) -> None:
    async def main() -> None:
        async with web_server(trusted) as server:
            await Webhook().send(parcel(settings={"url": server.url(scheme="https")}))
            assert len(server.requests) == 1
            (tmp_path / "none.pem").touch()
            monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "none.pem"))
            webhook._tls.cache_clear()
            with pytest.raises(Unavailable, match=r"(?i)certificate"):
                await Webhook().send(parcel(settings={"url": server.url(scheme="https")}))
            assert len(server.requests) == 1

    asyncio.run(main())
    webhook._tls.cache_clear()
