"""api/rest/job.py and attachment.py: run, wait, signal, stop; tickets."""

import asyncio
import base64

import msgspec
import pytest

from hawse.api.rest.attachment import AdmissionDocument
from hawse.domain.job import Job
from hawse.wire.ticket import unseal


async def running(rest, http, **more):
    """A session `a` with a job `b` that runs."""
    await http.ask("POST", "/v1/sessions", {"alias": "a"})
    made = await http.ask("POST", "/v1/sessions/a/jobs", rest.JOB | {"name": "b"} | more)
    assert made.status == 201, made.body
    return (await http.ask("GET", "/v1/sessions/a/jobs/b?wait_s=10&until=started")).json


def test_a_job_runs_is_signalled_and_stops(rest):
    async def main():
        async with rest.stage() as stage, rest.link(stage.path) as http:
            job = await running(rest, http)
            assert (job["state"], job["pid"]) == ("running", 4711)
            signalled = await http.ask("POST", "/v1/sessions/a/jobs/b/signal", {"signal": "usr1"})
            assert signalled.status == 200
            msgspec.json.decode(signalled.body, type=Job)
            assert stage.launcher.signals == [(job["id"], 10)]
            waiting = asyncio.create_task(rest.ask(stage.path, "GET", "/v1/sessions/a/jobs/b?wait_s=30"))
            stopped = await http.ask("DELETE", f"/v1/sessions/a/jobs/{job['id']}?grace_s=1")
            assert (stopped.status, stopped.json["state"]) == (202, "stopping")
            assert (await waiting).json["outcome"] == {"kind": "signalled", "code": None, "signal": 15, "cause": ""}
            late = await http.ask("POST", "/v1/sessions/a/jobs/b/signal", {"signal": "9"})
            assert (late.status, late.json["code"]) == (409, "illegal_move")

    rest.run(main())


def test_a_wait_ends_with_its_time(rest):
    async def main():
        async with rest.stage() as stage, rest.link(stage.path) as http:
            await running(rest, http)
            assert (await http.ask("GET", "/v1/sessions/a/jobs/b?wait_s=0.05")).json["state"] == "running"

    rest.run(main())


def test_jobs_are_paged(rest):
    async def main():
        async with rest.stage() as stage, rest.link(stage.path) as http:
            await http.ask("POST", "/v1/sessions", {"alias": "a"})
            made = [(await http.ask("POST", "/v1/sessions/a/jobs", rest.JOB)).json["id"] for _ in range(5)]
            seen, after = [], ""
            while after is not None:
                page = (await http.ask("GET", f"/v1/sessions/a/jobs?limit=2&after={after}")).json
                seen += [job["id"] for job in page["items"]]
                after = page["next"]
            assert seen == sorted(made)

    rest.run(main())


def test_what_is_private_is_not_told(rest):
    async def main():
        async with rest.stage() as stage, rest.link(stage.path) as http:
            await running(rest, http, env={"TOKEN": "s3cret"}, argv=["x", "shown"])
            for target in ("/v1/sessions", "/v1/sessions/a", "/v1/sessions/a/jobs/b", "/v1/sessions/a/events"):
                body = (await http.ask("GET", target)).body
                assert b"s3cret" not in body
                assert b"shown" in body
            assert "s3cret" not in str(stage.lines)

    rest.run(main())


def test_bytes_that_are_no_text_come_as_base64(rest):
    def coded(data):
        return base64.b64encode(data).decode()

    async def main():
        async with rest.stage() as stage, rest.link(stage.path) as http:
            spec = {
                "argv": [coded(b"/bin/\xff"), coded(b"a b")],
                "env": {coded(b"K"): coded(b"\xfe")},
                "cwd": coded(b"/\xfd"),
                "encoding": "base64",
            }
            await http.ask("POST", "/v1/sessions", {"alias": "a"})
            made = await http.ask("POST", "/v1/sessions/a/jobs", spec)
            assert made.json["command"] == ["/bin/�", "a b"]
            await rest.until(lambda: made.json["id"] in stage.launcher.running)
            order = stage.launcher.running[made.json["id"]].order
            assert (order.encoding, order.argv[0]) == ("base64", coded(b"/bin/\xff"))

    rest.run(main())


@pytest.mark.parametrize(
    "wrong",
    [
        {"argv": []},
        {"argv": [""]},
        {"argv": "ls"},
        {"argv": ["a\0"]},
        {"env": {"A=B": "c"}},
        {"env": {"": "c"}},
        {"env": {"A": 1}},
        {"cwd": "here"},
        {"cwd": ""},
        {"umask": -1},
        {"umask": 512},
        {"umask": "022"},
        {"tty": True},
        {"tty": {"columns": -1, "rows": 1}},
        {"tty": {"columns": 10001, "rows": 1}},
        {"tty": {"columns": 80}},
        {"grace_s": -1},
        {"grace_s": 1e9},
        {"grace_s": "5"},
        {"stdin": "maybe"},
        {"on_lost": "weep"},
        {"name": "a/b"},
        {"name": "00000000-0000-7000-8000-000000000000"},
        {"encoding": "base64"},
        {"log_bytes_max": -1},
        {"extra": 1},
    ],
)
def test_a_wrong_spec_is_refused(rest, wrong):
    async def main():
        async with rest.stage() as stage, rest.link(stage.path) as http:
            await http.ask("POST", "/v1/sessions", {"alias": "a"})
            answer = await http.ask("POST", "/v1/sessions/a/jobs", rest.JOB | wrong)
            assert (answer.status, answer.json["code"]) == (422, "invalid")
            assert (await http.ask("GET", "/v1/sessions/a/jobs")).json == {"items": [], "next": None}

    rest.run(main())


@pytest.mark.requirement("L3.1")
def test_an_attachment_is_admitted_and_ends(rest):
    async def main():
        async with rest.stage() as stage, rest.link(stage.path) as http:
            job = await running(rest, http, tty={"columns": 0, "rows": 0})
            made = await http.ask("POST", "/v1/sessions/a/attachments", {"where": "here"})
            assert (made.status, made.headers["cache-control"]) == (201, "no-store")
            msgspec.json.decode(made.body, type=AdmissionDocument)
            told = made.json
            assert (told["address"], told["job"]["id"]) == (f"/r/{job['id']}", job["id"])
            secret = stage.launcher.running[job["id"]].order.secret
            ticket = unseal(told["ticket"], bytes.fromhex(secret), now=stage.world.clock.now())
            assert (ticket.job, ticket.attachment, ticket.mode) == (job["id"], told["attachment"]["id"], "control")
            again = await http.ask("POST", "/v1/sessions/a/attachments", {"attachment": told["attachment"]["id"]})
            assert again.json["attachment"]["id"] == told["attachment"]["id"]
            assert again.json["ticket"] != told["ticket"]
            page = (await http.ask("GET", "/v1/sessions/a/attachments")).json
            assert [item["id"] for item in page["items"]] == [told["attachment"]["id"]]
            for _ in range(2):
                gone = await http.ask("DELETE", f"/v1/sessions/a/attachments/{told['attachment']['id']}")
                assert (gone.status, gone.json["state"], gone.json["reason"]) == (200, "detached", "asked")
            read = await http.ask("POST", "/v1/sessions/a/attachments", {"mode": "read", "job": "b"})
            assert (read.json["attachment"], read.json["ticket"] is not None) == (None, True)

    rest.run(main())


def test_an_ended_job_has_no_address(rest):
    async def main():
        async with rest.stage() as stage, rest.link(stage.path) as http:
            await running(rest, http)
            await http.ask("DELETE", "/v1/sessions/a")
            assert (await http.ask("GET", "/v1/sessions/a/jobs/b?wait_s=10")).json["state"] == "ended"
            told = (await http.ask("POST", "/v1/sessions/a/attachments", {})).json
            assert (told["attachment"], told["address"], told["ticket"]) == (None, None, None)

    rest.run(main())
