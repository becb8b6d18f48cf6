"""`/healthz` and `/readyz`: alive is not ready."""

import asyncio

import pytest

from hawse.domain.errors import Unavailable
from hawse.services import probe

PROBLEM = "application/problem+json"


def test_alive_says_nothing_about_the_store(rest, monkeypatch):
    async def main():
        async with rest.stage() as stage, rest.link(stage.path) as http:

            async def broken(_query):
                raise Unavailable("the disk is gone")

            monkeypatch.setattr(stage.world.store, "read", broken)
            answer = await http.ask("GET", "/healthz")
            assert (answer.status, answer.json) == (200, {"status": "ok"})

    rest.run(main())


def test_ready_when_the_store_takes_a_change(rest):
    async def main():
        async with rest.stage() as stage, rest.link(stage.path) as http:
            before = stage.world.store.meter.commit_s.count
            for _ in range(5):
                answer = await http.ask("GET", "/readyz")
                assert (answer.status, answer.json) == (200, {"status": "ready"})
            assert stage.world.store.meter.commit_s.count == before + 1  # watchers cost nothing
            assert stage.world.store.meter.events == 0
            assert len(stage.world.store.disk.answers) == 1

    rest.run(main())


def test_not_ready_before_adoption(rest):
    async def main():
        async with rest.stage() as stage, rest.link(stage.path) as http:
            waits = ["the jobs that run are being found again"]
            stage.desk.not_ready = lambda: waits[-1]
            answer = await http.ask("GET", "/readyz")
            assert (answer.status, answer.json["code"], answer.json["retry"]) == (503, "unavailable", True)
            assert answer.headers["content-type"] == PROBLEM
            assert "are being found again" in answer.json["detail"]
            assert answer.headers["retry-after"] == "1"
            waits.append("")
            assert (await http.ask("GET", "/readyz")).status == 200

    rest.run(main())


@pytest.mark.parametrize("how", ["refuses", "hangs"])
def test_not_ready_while_the_store_takes_no_changes(rest, monkeypatch, how):
    monkeypatch.setattr(probe, "PROBE_S", 0.0)
    monkeypatch.setattr(probe, "ANSWER_S", 0.2)

    async def main():
        async with rest.stage() as stage, rest.link(stage.path) as http:

            async def broken(_verb):
                if how == "refuses":
                    raise Unavailable("the disk is full")
                await asyncio.get_running_loop().create_future()

            with monkeypatch.context() as patch:
                patch.setattr(stage.world.store, "write", broken)
                answer = await http.ask("GET", "/readyz")
                assert answer.status == 503
                assert ("the disk is full" if how == "refuses" else "has not answered") in answer.json["detail"]
                assert (await http.ask("GET", "/healthz")).status == 200
            assert (await http.ask("GET", "/readyz")).status == 200

    rest.run(main())


def test_lines_of_the_log_tell_request_and_session(rest):
    async def main():
        async with rest.stage() as stage, rest.link(stage.path) as http:
            made = await http.ask("POST", "/v1/sessions", {"alias": "a"})
            id = made.json["id"]
            for target in ("/v1/sessions/a", f"/v1/sessions/{id}/events", "/v1/sessions/nope", "/healthz"):
                await http.ask("GET", target)
            await rest.until(lambda: len(stage.lines) == 5)
            assert [line.get("session") for line in stage.lines] == [id, id, id, None, None]
            assert len({line["request"] for line in stage.lines}) == 5
            assert stage.lines[0]["request"] == made.headers["hawse-request"]

    rest.run(main())
