"""HTTP over the coordinator's socket: links that break, answers that do not come, answers that are wrong."""

import asyncio
import os
import time
from collections.abc import Callable

import pytest
from fake_server import FakeServer, answers, breaks, header, sends

from hawse.client._async.transport import Transport as AsyncTransport
from hawse.client._sync import transport as transports
from hawse.client._sync.transport import Transport
from hawse.client.find import Endpoint
from hawse.domain.errors import Broken, Clash, Conflict, NotFound, TooLarge, Unavailable


def endpoint(server: FakeServer) -> Endpoint:
    return Endpoint(server.path, start="never", where=None)


def test_a_link_is_kept_for_the_next_request(tmp_path):
    with FakeServer(tmp_path / "s", [answers(200, {"n": 1})]) as server:
        transport = Transport(endpoint(server))
        for _ in range(3):
            assert transport.request("GET", "/v1/x").json() == {"n": 1}
        transport.close()
        assert (len(server.requests), server.connections) == (3, 1)


@pytest.mark.parametrize(
    "broken",
    [None, b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf", b"HTTP/1.1 2"],
    ids=["silent", "half a body", "half a head"],
)
def test_a_request_is_repeated_after_a_broken_link_with_the_same_key(tmp_path, broken):
    with FakeServer(tmp_path / "s", [breaks(broken), answers(201, {"ok": True})]) as server:
        transport = Transport(endpoint(server))
        answer = transport.request("POST", "/v1/sessions", body={"alias": "a"})
        transport.close()
        keys = [header(request, "Idempotency-Key") for request, _ in server.requests]
        assert answer.json() == {"ok": True}
        assert len(keys) == 2
        assert keys[0] == keys[1] != ""
        assert [body for _, body in server.requests] == [b'{"alias":"a"}'] * 2


def in_child(work: Callable[[], bool]) -> bool:
    """Does it work in a fork of this process?"""
    child = os.fork()
    if child == 0:
        try:
            os._exit(0 if work() else 1)
        finally:
            os._exit(2)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_a_fork_has_links_of_its_own_and_leaves_the_kept_ones_alone(tmp_path):
    """On a shared link the answers to one process would reach another."""
    with FakeServer(tmp_path / "s", [answers(200, {"n": 1})]) as server:
        transport = Transport(endpoint(server))
        transport.request("GET", "/x")
        assert in_child(lambda: transport.request("GET", "/x").json() == {"n": 1})
        assert server.connections == 2
        assert in_child(lambda: transport.close() is None)
        transport.request("GET", "/x")
        assert server.connections == 2, "the kept link was broken by a child"
        transport.close()


def test_an_asyncio_client_in_a_fork_has_links_of_its_own(tmp_path):
    with FakeServer(tmp_path / "s", [answers(200, {"n": 1})]) as server:
        transport = AsyncTransport(endpoint(server))

        async def ask() -> bool:
            return (await transport.request("GET", "/x")).json() == {"n": 1}

        assert asyncio.run(ask())
        assert in_child(lambda: asyncio.run(ask()))
        assert server.connections == 2
        assert asyncio.run(ask())
        assert server.connections == 2
        asyncio.run(transport.aclose())


def test_two_mutations_have_two_keys(tmp_path):
    with FakeServer(tmp_path / "s", [answers(200, {})]) as server:
        transport = Transport(endpoint(server))
        transport.request("POST", "/x")
        transport.request("POST", "/x")
        transport.close()
        keys = {header(request, "Idempotency-Key") for request, _ in server.requests}
        assert len(keys) == 2


def test_a_stale_kept_link_is_replaced(tmp_path):
    path = tmp_path / "s"
    with FakeServer(path, [answers(200, {"n": 1})]) as server:
        transport = Transport(endpoint(server))
        transport.request("GET", "/x")
    path.unlink()
    with FakeServer(path, [answers(200, {"n": 2})]):
        assert transport.request("GET", "/x").json() == {"n": 2}
        transport.close()


def test_no_answer_is_told_when_the_time_is_over(tmp_path):
    with FakeServer(tmp_path / "s", [sends(b"")]) as server:
        transport = Transport(endpoint(server))
        began = time.monotonic()
        with pytest.raises(Unavailable, match=r"did not answer in 0\.2 s"):
            transport.request("GET", "/x", wait_s=0.2)
        assert time.monotonic() - began < 5
        assert len(server.requests) == 1


def test_a_link_that_always_breaks_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(transports, "RETRIES_MAX", 2)
    with FakeServer(tmp_path / "s", [sends(None)]) as server:
        with pytest.raises(Unavailable, match="link to the coordinator broke"):
            Transport(endpoint(server)).request("GET", "/x")
        assert len(server.requests) == 3


def test_nobody_listens(tmp_path):
    with pytest.raises(Unavailable, match="nobody listens"):
        Transport(Endpoint(str(tmp_path / "none"), start="never", where=None)).request("GET", "/x")


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (404, "not_found", NotFound),
        (412, "conflict", Conflict),
        (409, "clash", Clash),
        (503, "unavailable", Unavailable),
        (404, "from_the_future", NotFound),
        (418, "teapot", Broken),
    ],
)
def test_problems_become_the_tree(tmp_path, status, code, kind):
    problem = {"status": status, "code": code, "detail": "so it is", "next": "do that", "session": "s1"}
    with FakeServer(tmp_path / "s", [answers(status, problem, "application/problem+json")]) as server:
        transport = Transport(endpoint(server))
        with pytest.raises(kind, match="so it is") as caught:
            transport.request("GET", "/x")
        transport.close()
    assert caught.value.next_step == "do that"
    assert caught.value.facts["session"] == "s1"


def test_an_error_without_a_body_is_an_error(tmp_path):
    with FakeServer(tmp_path / "s", [sends(b"HTTP/1.1 500 X\r\nContent-Length: 0\r\n\r\n")]) as server:
        transport = Transport(endpoint(server))
        with pytest.raises(Exception, match="answered 500"):
            transport.request("GET", "/x")
        transport.close()


def test_what_is_no_http_is_broken_and_not_repeated(tmp_path):
    with FakeServer(tmp_path / "s", [sends(b"SSH-2.0-OpenSSH_9.2\r\n\r\n")]) as server:
        with pytest.raises(Broken, match="does not speak HTTP"):
            Transport(endpoint(server)).request("GET", "/x")
        assert len(server.requests) == 1


def test_limits_of_bodies(tmp_path, monkeypatch):
    monkeypatch.setattr(transports, "BODY_BYTES_MAX", 1000)
    monkeypatch.setattr(transports, "REQUEST_BYTES_MAX", 1000)
    with FakeServer(tmp_path / "s", [answers(200, "x" * 2000)]) as server:
        transport = Transport(endpoint(server))
        with pytest.raises(Broken, match="larger than 1000"):
            transport.request("GET", "/x")
        with pytest.raises(TooLarge, match="at most 1000"):
            transport.request("POST", "/x", body="x" * 2000)
        assert len(server.requests) == 1


def test_query_and_version(tmp_path):
    with FakeServer(tmp_path / "s", [answers(200, {})]) as server:
        transport = Transport(endpoint(server))
        transport.request("PATCH", "/x", query={"a": "b c&d", "none": None, "n": 1}, version=7, body={})
        transport.close()
        request, _ = server.requests[0]
        assert request.target == b"/x?a=b%20c%26d&n=1"
        assert header(request, "If-Match") == '"7"'


def test_the_asyncio_twin_repeats_and_shares(tmp_path):
    async def many(server: FakeServer) -> None:
        transport = AsyncTransport(endpoint(server))
        async with asyncio.TaskGroup() as tasks:
            found = [tasks.create_task(transport.request("GET", f"/{n}")) for n in range(8)]
        assert all(task.result().json() == {"n": 1} for task in found)
        await transport.aclose()
        await asyncio.sleep(0)  # sockets are closed in the loop's next turn

    with FakeServer(tmp_path / "s", [sends(None), answers(200, {"n": 1})]) as server:
        asyncio.run(many(server))
        assert len(server.requests) == 9


def test_a_cancelled_request_leaves_no_link_that_another_would_use(tmp_path):
    async def scene(server: FakeServer) -> None:
        transport = AsyncTransport(endpoint(server))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await transport.request("GET", "/slow")
        assert (await transport.request("GET", "/x")).json() == {"n": 2}
        await transport.aclose()
        await asyncio.sleep(0)

    with FakeServer(tmp_path / "s", [sends(b""), answers(200, {"n": 2})]) as server:
        asyncio.run(scene(server))
        assert server.connections == 2
