"""api/rest/connection.py and listener.py: bounds on silence, heads, bodies and counts; and who may call."""

import asyncio
import os

import pytest

from hawse.api.rest import limits


@pytest.fixture
def quick(monkeypatch):
    """Short deadlines."""
    for name, value in (("SILENT_S", 0.3), ("BODY_S", 0.3), ("IDLE_S", 0.3), ("STALL_S", 0.3)):
        monkeypatch.setattr(f"hawse.api.rest.connection.{name}", value)
    monkeypatch.setattr("hawse.api.rest.listener.SWEEP_S", 0.05)


async def raw(path, *parts, pause_s=0.0):
    """Send bytes as they are; what comes back until the end of the connection."""
    reader, writer = await asyncio.open_unix_connection(path)
    try:
        for part in parts:
            writer.write(part)
            await asyncio.sleep(pause_s)
        return await reader.read()
    finally:
        writer.close()


@pytest.mark.parametrize(
    ("sent", "answer"),
    [
        ((), b""),
        ((b"GET /healthz HTTP/1.1\r\nHost: h\r\n",), b"HTTP/1.1 408 "),
        ((b"POST /v1/sessions HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\n{}",), b"HTTP/1.1 408 "),
    ],
)
def test_half_open_connections_end(rest, quick, sent, answer):
    async def main():
        async with rest.stage() as stage:
            got = await raw(stage.path, *sent)
            assert got.startswith(answer)
            assert (got == b"") == (answer == b"")

    rest.run(main())


def test_a_connection_between_two_requests_is_kept_for_a_while(rest, quick):
    async def main():
        async with rest.stage() as stage, rest.link(stage.path) as http:
            for _ in range(4):
                assert (await http.ask("GET", "/healthz")).status == 200
                await asyncio.sleep(0.15)
            assert await http.reader.read() == b""

    rest.run(main())


def test_a_drop_at_a_time_is_no_progress(rest, quick):
    """A head that comes byte by byte does not stay for ever."""

    async def main():
        async with rest.stage() as stage:
            reader, writer = await asyncio.open_unix_connection(stage.path)

            async def drip():
                writer.write(b"GET / HTTP/1.1\r\nX: ")
                while True:
                    writer.write(b"x")
                    await asyncio.sleep(0.01)

            dripping = asyncio.create_task(drip())
            assert (await reader.read()).startswith(b"HTTP/1.1 408")
            dripping.cancel()
            writer.close()

    rest.run(main())


@pytest.mark.parametrize(
    "sent",
    [
        b"GET / HTTP/1.1\r\nX: " + b"x" * (limits.HEAD_BYTES_MAX + 10),
        b"GET /" + b"x" * (limits.HEAD_BYTES_MAX + 10) + b" HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * limits.HEAD_BYTES_MAX,
    ],
)
def test_a_head_has_a_limit(rest, sent):
    async def main():
        async with rest.stage() as stage:
            got = await raw(stage.path, sent)
            assert got.startswith(b"HTTP/1.1 431")
            assert b'"code":"invalid"' in got
            assert str(limits.HEAD_BYTES_MAX).encode() in got

    rest.run(main())


@pytest.mark.parametrize(
    "sent", [b"\x16\x03\x01\x02\x00\x01", b"hello\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"\x00" * 100]
)
def test_what_is_no_http_is_told_so(rest, sent):
    async def main():
        async with rest.stage() as stage:
            got = await raw(stage.path, sent)
            assert got.startswith(b"HTTP/1.1 400")
            assert b"application/problem+json" in got

    rest.run(main())


@pytest.mark.parametrize("is_told", [True, False])
def test_a_body_has_a_limit_told_or_streamed(rest, is_told):
    size = limits.BODY_BYTES_MAX + 1

    async def main():
        async with rest.stage() as stage:
            reader, writer = await asyncio.open_unix_connection(stage.path)
            length = f"Content-Length: {size}" if is_told else "Transfer-Encoding: chunked"
            writer.write(f"POST /v1/sessions HTTP/1.1\r\nHost: h\r\n{length}\r\n\r\n".encode())
            chunk = b"x" * 65536

            async def send():
                try:
                    for _ in range(0, size, len(chunk)):
                        writer.write(chunk if is_told else b"10000\r\n" + chunk + b"\r\n")
                        await writer.drain()
                except OSError:
                    pass

            sending = asyncio.create_task(send())
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 413")
            sending.cancel()
            writer.close()
            assert (await rest.ask(stage.path, "GET", "/healthz")).status == 200

    rest.run(main())


def test_a_body_just_below_the_limit_is_read(rest):
    async def main():
        async with rest.stage() as stage:
            body = b'{"description": "' + b"x" * (limits.BODY_BYTES_MAX - 30) + b'"}'
            answer = await rest.ask(stage.path, "POST", "/v1/sessions", raw=body)
            assert (answer.status, answer.json["code"]) == (422, "invalid")

    rest.run(main())


def test_pipelined_requests_are_answered_in_order(rest):
    async def main():
        async with rest.stage() as stage:
            one = b"GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n"
            last = b"GET /nope HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"
            got = await raw(stage.path, one * 50 + last)
            assert got.count(b"HTTP/1.1 200 OK") == 50
            assert got.rindex(b"HTTP/1.1 404") > got.rindex(b"HTTP/1.1 200")

    rest.run(main())


def test_two_thousand_silent_connections_disturb_nobody(rest):
    async def main():
        async with rest.stage(connections_max=3000) as stage:
            silent = [await asyncio.open_unix_connection(stage.path) for _ in range(2000)]
            half = silent[1000:]
            for _, writer in half:
                writer.write(b"POST /v1/sessions HTTP/1.1\r\nContent-Le")
            async with rest.link(stage.path) as http:
                for n in range(200):
                    assert (await http.ask("POST", "/v1/sessions", {"alias": f"s{n}"})).status == 201
            for _, writer in silent:
                writer.close()

    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8192), hard))
    try:
        rest.run(main())
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_beyond_the_limit_the_one_that_waited_longest_makes_room(rest):
    async def main():
        async with rest.stage(connections_max=10) as stage:
            waiting = [await asyncio.open_unix_connection(stage.path) for _ in range(10)]
            async with rest.link(stage.path) as http:
                assert (await http.ask("GET", "/healthz")).status == 200
                assert await waiting[0][0].read() == b""
                waiting[1][1].write(b"GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n")
                assert (await waiting[1][0].readline()).startswith(b"HTTP/1.1 200")
            for _, writer in waiting:
                writer.close()

    rest.run(main())


def test_making_room_costs_the_same_however_many_are_there(rest):
    """Each newcomer beyond the limit takes the place of one: nobody is looked through."""

    async def main():
        async with rest.stage(connections_max=50) as stage:
            waiting = [await asyncio.open_unix_connection(stage.path) for _ in range(50)]
            await rest.until(lambda: len(stage.listener._waiting) == 50)
            first = next(iter(stage.listener._waiting))
            waiting += [await asyncio.open_unix_connection(stage.path) for _ in range(30)]
            await rest.until(lambda: first.transport.is_closing())
            for number in range(30):
                assert await waiting[number][0].read() == b""
            await rest.until(lambda: len(stage.listener._waiting) == len(stage.listener.state.connections) == 50)
            for _, writer in waiting:
                writer.close()
            await rest.until(lambda: not stage.listener._waiting)

    rest.run(main())


def test_when_all_are_busy_the_newcomer_is_told(rest):
    async def main():
        async with rest.stage(connections_max=3) as stage:
            await rest.ask(stage.path, "POST", "/v1/sessions", {"alias": "a"})
            busy = [
                asyncio.create_task(rest.ask(stage.path, "GET", "/v1/sessions/a/events?from=9&wait_s=30"))
                for _ in range(3)
            ]
            await rest.until(lambda: len(stage.desk._waiting) == 3)
            got = await raw(stage.path)
            assert got.startswith(b"HTTP/1.1 503")
            assert b'"code":"limit_reached"' in got
            for task in busy:
                task.cancel()

    rest.run(main())


def test_others_may_be_kept_out_altogether(rest):
    async def main():
        async with rest.stage(owner=os.getuid() + 1, others=False) as stage:
            for method, target in (("GET", "/healthz"), ("POST", "/v1/sessions"), ("GET", "/schema/openapi.json")):
                answer = await rest.ask(stage.path, method, target, {} if method == "POST" else None)
                assert (answer.status, answer.json["code"]) == (403, "denied")
                assert f"uid:{os.getuid()}" in answer.json["detail"]

    rest.run(main())


def test_the_owner_of_a_session_is_who_the_kernel_says(rest):
    async def main():
        async with rest.stage() as stage:
            claimed = {"X-Forwarded-For": "1.2.3.4", "Authorization": "Bearer root", "X-User": "root"}
            made = await rest.ask(stage.path, "POST", "/v1/sessions", {}, headers=claimed)
            assert made.json["owner"] == f"uid:{os.getuid()}"

    rest.run(main())


def test_each_request_has_one_line_in_the_log_without_its_query(rest):
    async def main():
        async with rest.stage() as stage:
            answer = await rest.ask(stage.path, "GET", "/v1/sessions?after=secret")
            line = stage.lines[-1]
            assert line["request"] == answer.headers["hawse-request"]
            assert (line["method"], line["path"], line["status"], line["peer"]) == (
                "GET",
                "/v1/sessions",
                200,
                os.getpid(),
            )
            assert "secret" not in str(line)

    rest.run(main())
