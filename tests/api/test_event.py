"""api/rest/event.py and feed.py: pages, long polls, feeds; nothing skipped, nothing twice."""

import asyncio
import json

import pytest

from hawse.api.rest import feed
from hawse.domain.errors import Unavailable

STREAM = {"Accept": "text/event-stream"}


async def messages(http):
    """(id, event, data) of a feed as they come; comments as ("", "", text)."""
    buffer = b""
    while chunk := await http.chunk():
        buffer += chunk
        *whole, buffer = buffer.split(b"\n\n")
        for block in whole:
            fields = dict(line.split(": ", 1) for line in block.decode().split("\n") if not line.startswith(":"))
            if fields:
                yield fields.get("id", ""), fields["event"], json.loads(fields["data"])
            else:
                yield "", "", block.decode()
    assert buffer == b""


async def numbers(http, count):
    """The numbers of the next `count` events of a feed."""
    found = []
    async for id, _, _ in messages(http):
        if id:
            found.append(int(id))
            if len(found) == count:
                break
    return found


async def follow(rest, path, session, *, after=None, start=None):
    http = await rest.Link.open(path)
    headers = STREAM if after is None else STREAM | {"Last-Event-ID": str(after)}
    query = "" if start is None else f"?from={start}"
    await http.send("GET", f"/v1/sessions/{session}/events{query}", b"", headers)
    status, told = await http.head()
    assert (status, told["content-type"]) == (200, "text/event-stream; charset=utf-8")
    return http


async def change(rest, path, session, count):
    async with rest.link(path) as http:
        for n in range(count):
            answer = await http.ask(
                "PATCH", f"/v1/sessions/{session}", {"description": f"{n} {asyncio.get_running_loop().time()}"}
            )
            assert answer.status == 200


def test_pages_go_on_where_the_one_before_ended(rest):
    async def main():
        async with rest.stage() as stage, rest.link(stage.path) as http:
            await http.ask("POST", "/v1/sessions", {"alias": "a"})
            await change(rest, stage.path, "a", 8)
            seen, at = [], 1
            while True:
                page = (await http.ask("GET", f"/v1/sessions/a/events?from={at}&limit=4")).json
                if not page["items"]:
                    break
                seen += [event["seq"] for event in page["items"]]
                at = page["next"]
            assert seen == list(range(1, 10))
            assert page == {"items": [], "next": 10}
            await http.ask("DELETE", "/v1/sessions/a")
            last = (await http.ask("GET", "/v1/sessions/a/events?from=10")).json
            assert last["next"] is None
            assert last["items"][-1]["kind"] == "session.ended"

    rest.run(main())


def test_a_long_poll_ends_with_the_event_or_with_the_time(rest):
    async def main():
        async with rest.stage() as stage, rest.link(stage.path) as http:
            await http.ask("POST", "/v1/sessions", {"alias": "a"})
            assert (await http.ask("GET", "/v1/sessions/a/events?from=2&wait_s=0.05")).json == {"items": [], "next": 2}
            waiting = asyncio.create_task(rest.ask(stage.path, "GET", "/v1/sessions/a/events?from=2&wait_s=30"))
            await change(rest, stage.path, "a", 1)
            assert [event["seq"] for event in (await waiting).json["items"]] == [2]

    rest.run(main())


@pytest.mark.requirement("S3.4")
def test_a_feed_gives_every_event_once_and_ends_with_the_session(rest):
    async def main():
        async with rest.stage() as stage:
            await rest.ask(stage.path, "POST", "/v1/sessions", {"alias": "a"})
            http = await follow(rest, stage.path, "a")

            async def collect():
                return [message async for message in messages(http) if message[1]]

            collecting = asyncio.create_task(collect())
            await change(rest, stage.path, "a", 50)
            await rest.ask(stage.path, "DELETE", "/v1/sessions/a")
            got = await collecting
            ids = [int(id) for id, _, _ in got[:-1]]
            assert ids == list(range(1, len(ids) + 1))
            assert got[-2][1] == "session.ended"
            assert got[-1] == ("", "end", {"last_seq": ids[-1]})
            stored = (await rest.ask(stage.path, "GET", "/v1/sessions/a/events?limit=1000")).json["items"]
            assert [data for _, _, data in got[:-1]] == stored
            http.close()

    rest.run(main())


@pytest.mark.parametrize(
    ("after", "start", "first"), [(None, None, 1), (None, 4, 4), (5, None, 6), (5, 1, 6), (None, 0, 1)]
)
def test_a_feed_resumes_behind_the_last_event_that_was_seen(rest, after, start, first):
    async def main():
        async with rest.stage() as stage:
            await rest.ask(stage.path, "POST", "/v1/sessions", {"alias": "a"})
            await change(rest, stage.path, "a", 9)
            http = await follow(rest, stage.path, "a", after=after, start=start)
            assert await numbers(http, 11 - first) == list(range(first, 11))
            http.close()

    rest.run(main())


def test_a_cursor_that_was_never_given_is_refused(rest):
    """A feed that took it would leave out what comes up to that number."""

    async def main():
        async with rest.stage() as stage, rest.link(stage.path) as http:
            await http.ask("POST", "/v1/sessions", {"alias": "a"})
            headers = {"Accept": "text/event-stream", "Last-Event-ID": "2"}
            refused = await http.ask("GET", "/v1/sessions/a/events", headers=headers)
            assert (refused.status, refused.json["code"], refused.json["last_seq"]) == (422, "invalid", 1)
            assert "the session's last event is 1" in refused.json["detail"]

    rest.run(main())


def test_from_beyond_the_last_event_is_empty_and_goes_on_there(rest):
    async def main():
        async with rest.stage() as stage, rest.link(stage.path) as http:
            await http.ask("POST", "/v1/sessions", {"alias": "a"})
            beyond = await http.ask("GET", "/v1/sessions/a/events?from=4")
            assert (beyond.status, beyond.json) == (200, {"items": [], "next": 4})
            feed = await follow(rest, stage.path, "a", start=4)
            await change(rest, stage.path, "a", 4)
            assert await numbers(feed, 2) == [4, 5]
            feed.close()
            await http.ask("DELETE", "/v1/sessions/a")
            beyond = await http.ask("GET", "/v1/sessions/a/events?from=1000")
            assert (beyond.status, beyond.json) == (200, {"items": [], "next": None})
            feed = await follow(rest, stage.path, "a", start=1000)
            assert [message async for message in messages(feed) if message[1]] == [("", "end", {"last_seq": 7})]
            feed.close()

    rest.run(main())


@pytest.mark.parametrize("after", ["x", "-1", "1.5", "²", "9" * 17])
def test_a_last_event_id_is_a_number(rest, after):
    async def main():
        async with rest.stage() as stage:
            await rest.ask(stage.path, "POST", "/v1/sessions", {"alias": "a"})
            headers = STREAM | {"Last-Event-ID": after}
            answer = await rest.ask(stage.path, "GET", "/v1/sessions/a/events", headers=headers)
            assert (answer.status, answer.json["code"]) == (422, "invalid")

    rest.run(main())


def test_followers_that_come_and_go_miss_nothing(rest, monkeypatch):
    """Small rings and batches, so that followers fall behind the ring and read the store in between."""
    monkeypatch.setattr(feed, "RING_EVENTS_MAX", 8)
    monkeypatch.setattr(feed, "BATCH_BYTES_MAX", 900)
    monkeypatch.setattr(feed, "PAGE", 5)
    monkeypatch.setattr(feed, "GATHER_S", 0.002)

    async def main():
        async with rest.stage() as stage:
            await rest.ask(stage.path, "POST", "/v1/sessions", {"alias": "a"})

            async def reader(step):
                seen = 0
                while seen < 301:
                    http = await follow(rest, stage.path, "a", after=seen)
                    got = await numbers(http, min(step, 301 - seen))
                    assert got == list(range(seen + 1, seen + 1 + len(got)))
                    seen += len(got)
                    http.close()

            async with asyncio.TaskGroup() as tasks:
                for step in (1, 3, 17, 100, 301):
                    tasks.create_task(reader(step))
                tasks.create_task(change(rest, stage.path, "a", 300))
            await rest.until(lambda: not stage.desk.feeds._feeds)

    rest.run(main())


def test_silence_is_filled_with_heartbeats(rest, monkeypatch):
    monkeypatch.setattr(feed, "HEARTBEAT_S", 0.02)

    async def main():
        async with rest.stage() as stage:
            await rest.ask(stage.path, "POST", "/v1/sessions", {"alias": "a"})
            http = await follow(rest, stage.path, "a")
            comments = 0
            async for _, event, _ in messages(http):
                comments += event == ""
                if comments == 3:
                    break
            http.close()

    rest.run(main())


def test_a_feed_outlasts_a_store_that_is_away(rest, monkeypatch):
    """Its readers stay, with signs of life, and go on behind what they had."""
    monkeypatch.setattr(feed, "HEARTBEAT_S", 0.02)
    monkeypatch.setattr(feed, "AGAIN_S", 0.02)

    async def away(query: object) -> None:
        raise Unavailable("the database restarts")

    async def main():
        async with rest.stage() as stage:
            await rest.ask(stage.path, "POST", "/v1/sessions", {"alias": "a"})
            http = await follow(rest, stage.path, "a")
            told = messages(http)
            assert (await anext(told))[1] == "session.created"
            with monkeypatch.context() as patch:
                patch.setattr(stage.desk.world.store, "read", away)
                comments = 0
                async for _, event, _ in told:
                    assert event == ""
                    comments += 1
                    if comments == 5:
                        break
            await rest.ask(stage.path, "PATCH", "/v1/sessions/a", {"description": "d"})
            async for _, event, _ in told:
                if event:
                    assert event == "session.described"
                    break
            http.close()

    rest.run(main())


@pytest.mark.requirement("S3.3")
def test_a_reader_that_does_not_read_is_cut_and_comes_back(rest, monkeypatch):
    monkeypatch.setattr("hawse.api.rest.connection.STALL_S", 0.2)
    monkeypatch.setattr("hawse.api.rest.listener.SWEEP_S", 0.05)
    monkeypatch.setattr(feed, "GATHER_S", 0.0)

    async def main():
        async with rest.stage() as stage:
            await rest.ask(stage.path, "POST", "/v1/sessions", {"alias": "a"})
            slow = await asyncio.open_unix_connection(stage.path, limit=1024)
            slow[1].write(b"GET /v1/sessions/a/events HTTP/1.1\r\nHost: h\r\nAccept: text/event-stream\r\n\r\n")
            quick = await follow(rest, stage.path, "a")
            counting = asyncio.create_task(numbers(quick, 1501))
            async with rest.link(stage.path) as http:
                for n in range(1500):
                    await http.ask("PATCH", "/v1/sessions/a", {"description": f"{n}" * 200})
            assert await counting == list(range(1, 1502))  # nobody else notices
            await rest.until(lambda: len(stage.listener.state.connections) == 1)  # the quick one
            data = b""
            while part := await slow[0].read(1 << 20):
                data += part
            assert len(data) < 2_000_000
            last = max(
                int(line[4:])
                for line in data.split(b"\r\n")[-1].split(b"\n") + data.split(b"\n")
                if line.startswith(b"id: ")
            )
            assert last < 1501
            again = await follow(rest, stage.path, "a", after=last - 1)
            assert await numbers(again, 1502 - last) == list(range(last, 1502))
            for http in (again, quick):
                http.close()
            slow[1].close()

    rest.run(main())


def test_a_stop_ends_feeds_and_long_polls(rest):
    async def main():
        async with rest.stage() as stage:
            await rest.ask(stage.path, "POST", "/v1/sessions", {"alias": "a", "job": rest.JOB})
            http = await follow(rest, stage.path, "a")
            polls = [
                asyncio.create_task(rest.ask(stage.path, "GET", target))
                for target in ("/v1/sessions/a/jobs/true?wait_s=50", "/v1/sessions/a/events?from=900&wait_s=50")
            ]
            await rest.until(lambda: len(stage.desk._waiting) == 2)
            began = asyncio.get_running_loop().time()
            await stage.listener.aclose()
            assert asyncio.get_running_loop().time() - began < 2
            assert [kind async for _, kind, _ in messages(http) if kind == "end"] == []
            for poll in polls:
                answer = await poll
                assert (answer.status, answer.json["code"], answer.headers["retry-after"]) == (503, "unavailable", "1")
            http.close()

    rest.run(main())


def test_who_reads_old_events_leaves_everybody_else_a_turn(rest):
    """Many that come from the beginning, and clients that have gone, hold nobody up."""

    async def main():
        async with rest.stage() as stage:
            session = (await rest.ask(stage.path, "POST", "/v1/sessions", {"alias": "a"})).json["id"]
            async with rest.link(stage.path) as http:
                for n in range(feed.OLD_PAGE * 4):
                    await http.ask("PATCH", "/v1/sessions/a", {"description": f"{n}"})
            store, reads, turns, most = stage.world.store, 0, 0, 0
            plain = store.read

            async def counted(query):
                nonlocal reads
                reads += 1
                return await plain(query)

            async def others():
                nonlocal reads, turns, most
                while True:
                    most, reads, turns = max(most, reads), 0, turns + 1
                    await asyncio.sleep(0)

            async def follower():
                count = 0
                async for data in stage.desk.feeds.follow(session, after=0):
                    count += data.count(b"\nevent: ")
                    if count == feed.OLD_PAGE * 4 + 1:
                        return

            store.read = counted
            ticking = asyncio.create_task(others())
            async with asyncio.timeout(30):
                await asyncio.gather(*(follower() for _ in range(20)))
            ticking.cancel()
            assert most <= 2 + 20, f"{most} reads between two turns of the others"
            assert turns > 20 * 4

    rest.run(main())
