"""api/rest/log.py: raw bytes, and headers that say which."""

import asyncio

import pytest

from hawse.api.rest import limits
from hawse.api.rest.log import told_in_headers
from hawse.ports.log import Piece


async def job_with(rest, stage, piece):
    made = await rest.ask(stage.path, "POST", "/v1/sessions", {"alias": "a", "job": rest.JOB})
    stage.logs.bytes_of[made.json["jobs"][0]["id"]] = piece


@pytest.mark.requirement("S3.4")
def test_bytes_are_read_from_any_offset(rest):
    data = bytes(range(256)) * 40

    async def main():
        async with rest.stage() as stage, rest.link(stage.path) as http:
            spans = ((0, 4000, 1), (4000, 100, 2), (4100, len(data) - 4100, 1))
            await job_with(rest, stage, Piece(data, 0, len(data), len(data), (), spans))
            whole = await http.ask("GET", "/v1/sessions/a/logs/true")
            assert whole.body == data
            assert whole.headers["content-type"] == "application/octet-stream"
            assert whole.headers["hawse-log-spans"] == f"0+4000:1 4000+100:2 4100+{len(data) - 4100}:1"
            got, at = b"", 0
            while at < len(data):
                part = await http.ask("GET", f"/v1/sessions/a/logs/true?from={at}&limit=999")
                assert int(part.headers["hawse-log-from"]) == at
                assert int(part.headers["hawse-log-end"]) == len(data)
                got, at = got + part.body, int(part.headers["hawse-log-next"])
            assert got == data
            past = await http.ask("GET", f"/v1/sessions/a/logs/true?from={len(data)}")
            assert (past.status, past.body, past.headers["hawse-log-next"]) == (200, b"", str(len(data)))
            assert past.headers["hawse-job-state"] in ("starting", "running")
            beyond = await http.ask("GET", f"/v1/sessions/a/logs/true?from={len(data) + 1}")
            assert (beyond.status, beyond.json["end"]) == (422, len(data))

    rest.run(main())


def test_a_tail_and_a_time(rest):
    async def main():
        async with rest.stage() as stage, rest.link(stage.path) as http:
            await job_with(rest, stage, Piece(b"one\ntwo\n", 0, 8, 8, (), ((0, 8, 1),)))
            assert (await http.ask("GET", "/v1/sessions/a/logs/true?tail=1")).body == b"two\n"
            assert (await http.ask("GET", "/v1/sessions/a/logs/true?since=3")).headers["hawse-log-from"] == "3"
            for query in ("tail=1&since=3", "from=-1", "limit=0", "tail=x", "since=nan", "since=-1", f"limit={2**40}"):
                answer = await http.ask("GET", f"/v1/sessions/a/logs/true?{query}")
                assert (answer.status, answer.json["code"]) == (422, "invalid"), query
            assert (await http.ask("GET", "/v1/sessions/a/logs/nope")).status == 404

    rest.run(main())


def test_damage_is_told(rest):
    async def main():
        async with rest.stage() as stage, rest.link(stage.path) as http:
            await job_with(rest, stage, Piece(b"abcd", 0, 4, 9, ((4, 5, "checksum; bäd\n"),), ((0, 4, 1),)))
            answer = await http.ask("GET", "/v1/sessions/a/logs/true")
            assert answer.headers["hawse-log-damaged"] == "4+5 checksum%3B%20b%C3%A4d%0A"

    rest.run(main())


def test_a_piece_with_many_spans_is_shortened_to_what_its_headers_hold():
    spans = tuple((n * 3, 2, 1 + n % 2) for n in range(1000))  # a hole of one byte behind each
    holes = tuple((n * 3 + 2, 1, "checksum") for n in range(1000))
    whole = Piece(bytes(n % 251 for n in range(2000)), 0, 3000, 3000, holes, spans)
    got, at, pieces = b"", 0, 0
    while at < 3000:
        left = tuple(s for s in spans if s[0] >= at)
        rest_of = Piece(whole.data[len(got) :], at, 3000, 3000, tuple(h for h in holes if h[0] >= at), left)
        part = told_in_headers(rest_of)
        assert len(part.spans) <= limits.SPANS_MAX
        assert len(part.damaged) <= limits.DAMAGED_MAX
        assert len(part.data) == sum(length for _, length, _ in part.spans)
        assert part.next > at
        got, at, pieces = got + part.data, part.next, pieces + 1
    assert got == whole.data
    assert pieces > 10


def test_a_reader_of_a_big_piece_that_stops_reading_is_cut(rest, monkeypatch):
    monkeypatch.setattr("hawse.api.rest.connection.STALL_S", 0.2)
    monkeypatch.setattr("hawse.api.rest.listener.SWEEP_S", 0.05)

    async def main():
        async with rest.stage() as stage:
            size = 4 * 1024 * 1024
            await job_with(rest, stage, Piece(b"x" * size, 0, size, size, (), ((0, size, 1),)))
            readers = [await asyncio.open_unix_connection(stage.path, limit=1024) for _ in range(20)]
            for _, writer in readers:
                writer.write(f"GET /v1/sessions/a/logs/true?limit={size} HTTP/1.1\r\nHost: h\r\n\r\n".encode())
            await rest.until(lambda: len(stage.listener.state.connections) >= 20)
            assert (await rest.ask(stage.path, "GET", "/healthz")).status == 200
            await rest.until(lambda: not stage.listener.state.connections)
            for _, writer in readers:
                writer.close()

    rest.run(main())
