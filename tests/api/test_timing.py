"""api/rest/timing.py and the screen of a log: pages that go on exactly, and answers that say what they are."""

import pytest

from hawse.ports.log import Moment, Piece

DATA = b"x" * 100


async def job_with(rest, stage, moments):
    made = await rest.ask(stage.path, "POST", "/v1/sessions", {"alias": "a", "job": rest.JOB})
    job = made.json["jobs"][0]["id"]
    stage.logs.bytes_of[job] = Piece(DATA, 0, len(DATA), len(DATA))
    stage.logs.moments_of[job] = tuple(moments)


@pytest.mark.requirement("S3.4")
def test_moments_come_in_pages_and_go_on_where_they_stopped(rest):
    moments = [
        Moment("attempt", 0, 10.0, attempt=1), Moment("resize", 0, 10.0, columns=80, rows=24),
        Moment("output", 0, 10.25, 60, source=1), Moment("resize", 60, 11.0, columns=100, rows=30),
        Moment("resize", 60, 12.0, columns=90, rows=30), Moment("gap", 60, 12.0, 30, cause="dropped"),
        Moment("output", 90, 13.0, 10, source=2),
    ]  # fmt: skip

    async def main():
        async with rest.stage() as stage, rest.link(stage.path) as http:
            await job_with(rest, stage, moments)
            whole = (await http.ask("GET", "/v1/sessions/a/logs/true/timing")).json
            assert whole["items"][:3] == [
                {"kind": "attempt", "offset": 0, "time": 10.0, "attempt": 1},
                {"kind": "resize", "offset": 0, "time": 10.0, "columns": 80, "rows": 24},
                {"kind": "output", "offset": 0, "time": 10.25, "length": 60, "source": 1},
            ]
            assert whole["items"][5] == {"kind": "gap", "offset": 60, "time": 12.0, "length": 30, "cause": "dropped"}
            assert (whole["next"], whole["skip"], whole["end"]) == (100, 0, 100)
            assert whole["state"] in ("starting", "running")
            for limit in (1, 2, 3, 7):
                found, page = [], {"next": 0, "skip": 0}
                while True:
                    query = f"from={page['next']}&skip={page['skip']}&limit={limit}"
                    page = (await http.ask("GET", f"/v1/sessions/a/logs/true/timing?{query}")).json
                    if not page["items"]:
                        break
                    found += page["items"]
                assert found == whole["items"], limit

    rest.run(main())


def test_a_job_without_a_log_has_no_moments(rest):
    async def main():
        async with rest.stage() as stage, rest.link(stage.path) as http:
            await rest.ask(stage.path, "POST", "/v1/sessions", {"alias": "a", "job": rest.JOB})
            assert (await http.ask("GET", "/v1/sessions/a/logs/true/timing")).json["items"] == []
            shown = await http.ask("GET", "/v1/sessions/a/logs/true/screen?at=5")
            assert (shown.status, shown.body, shown.headers["hawse-log-next"]) == (200, b"", "5")
            assert "hawse-terminal" not in shown.headers

    rest.run(main())


def test_the_screen_of_an_offset(rest):
    async def main():
        async with rest.stage() as stage, rest.link(stage.path) as http:
            await job_with(rest, stage, ())
            shown = await http.ask("GET", "/v1/sessions/a/logs/true/screen?at=7")
            assert shown.body == b"screen at 7"
            assert shown.headers["hawse-terminal"] == "100x30"
            assert (shown.headers["hawse-log-next"], shown.headers["hawse-log-end"]) == ("6", "100")

    rest.run(main())


@pytest.mark.parametrize(
    "path",
    [
        "timing?from=-1", "timing?skip=x", "timing?limit=0", "timing?limit=10001", "timing?tail=3",
        "screen", "screen?at=-1",
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused(rest, path):
    async def main():
        async with rest.stage() as stage, rest.link(stage.path) as http:
            await job_with(rest, stage, ())
            answer = await http.ask("GET", f"/v1/sessions/a/logs/true/{path}")
            assert (answer.status, answer.json["code"]) == (422, "invalid")
            assert (await http.ask("GET", "/v1/sessions/a/logs/nope/timing")).status == 404

    rest.run(main())
