"""api/rest/session.py: create, list, look, describe, end."""

import asyncio

import msgspec
import pytest

from hawse.api.rest.session import SessionDocument


def test_a_session_lives_and_ends(rest):
    async def main():
        async with rest.stage() as stage, rest.link(stage.path) as http:
            made = await http.ask("POST", "/v1/sessions", {"alias": "train", "labels": {"a": "b"}, "job": rest.JOB})
            assert made.status == 201
            assert made.headers["location"] == f"/v1/sessions/{made.json['id']}"
            assert made.headers["etag"] == '"1"'
            msgspec.json.decode(made.body, type=SessionDocument, strict=True)
            assert [job["name"] for job in made.json["jobs"]] == ["true"]
            for name in ("train", made.json["id"]):
                found = await http.ask("GET", f"/v1/sessions/{name}")
                assert found.json["id"] == made.json["id"]
            ended = await http.ask("DELETE", "/v1/sessions/train?grace_s=0&reason=enough")
            assert ended.status == 202
            assert (await http.ask("GET", "/v1/sessions/train/jobs/true?wait_s=10")).json["outcome"]["signal"] == 15
            gone = (await http.ask("GET", "/v1/sessions/train")).json
            assert (gone["state"], gone["end_reason"], gone["ended_by"]) == (
                "ended",
                "enough",
                f"uid:{rest.os.getuid()}",
            )
            assert (await http.ask("DELETE", "/v1/sessions/train")).status == 202  # safe to repeat

    rest.run(main())


@pytest.mark.requirement("S4.1")
def test_sessions_are_paged_in_the_order_of_their_age(rest):
    async def main():
        async with rest.stage() as stage, rest.link(stage.path) as http:
            made = {}
            for n in range(7):
                made[(await http.ask("POST", "/v1/sessions", {"alias": f"s{n}"})).json["id"]] = f"s{n}"
            await http.ask("DELETE", "/v1/sessions/s3")
            seen, after = [], ""
            while after is not None:
                page = (await http.ask("GET", f"/v1/sessions?limit=2&after={after}")).json
                seen += [item["alias"] for item in page["items"]]
                after = page["next"]
            assert seen == [made[id] for id in sorted(made) if made[id] != "s3"]
            assert [s["id"] for s in (await http.ask("GET", "/v1/sessions?state=all")).json["items"]] == sorted(made)
            assert [s["alias"] for s in (await http.ask("GET", "/v1/sessions?state=ended")).json["items"]] == ["s3"]

    rest.run(main())


def test_what_is_not_given_stays(rest):
    async def main():
        async with rest.stage() as stage, rest.link(stage.path) as http:
            await http.ask("POST", "/v1/sessions", {"alias": "a", "description": "old", "labels": {"k": "v"}})
            new = await http.ask("PATCH", "/v1/sessions/a", {"description": "new"})
            assert (new.json["description"], new.json["labels"], new.json["alias"]) == ("new", {"k": "v"}, "a")
            assert new.headers["etag"] == '"2"'
            bare = await http.ask("PATCH", "/v1/sessions/a", {"alias": None, "labels": {}})
            assert (bare.json["alias"], bare.json["labels"], bare.json["version"]) == (None, {}, 3)
            same = await http.ask("PATCH", f"/v1/sessions/{bare.json['id']}", {})
            assert same.json["version"] == 3

    rest.run(main())


def test_a_race_is_told_with_the_present_version(rest):
    async def main():
        async with rest.stage() as stage:
            made = (await rest.ask(stage.path, "POST", "/v1/sessions", {"alias": "a"})).json
            answers = await asyncio.gather(
                *(
                    rest.ask(
                        stage.path, "PATCH", "/v1/sessions/a", {"description": f"by {n}"}, headers={"If-Match": '"1"'}
                    )
                    for n in range(20)
                )
            )
            won = [answer for answer in answers if answer.status == 200]
            lost = [answer for answer in answers if answer.status == 412]
            assert (len(won), len(lost)) == (1, 19)
            assert {(p.json["code"], p.json["retry"], p.json["version"]) for p in lost} == {("conflict", True, 2)}
            now = (await rest.ask(stage.path, "GET", f"/v1/sessions/{made['id']}")).json
            assert now["description"] == won[0].json["description"]
            late = await rest.ask(stage.path, "DELETE", "/v1/sessions/a", headers={"If-Match": '"1"'})
            assert late.status == 412
            assert "not 1: somebody changed it" in late.json["detail"]
            twice = await rest.ask(stage.path, "GET", "/v1/sessions?limit=1&limit=2")
            assert (twice.status, twice.json["detail"]) == (422, "the parameter 'limit' is given more than once")

    rest.run(main())


@pytest.mark.parametrize("tag", ["3", '"x"', '"0"', 'W/"1"', '""', '"1", "2"', '"99999999999999999"'])
def test_if_match_is_one_version_in_quotes(rest, tag):
    async def main():
        async with rest.stage() as stage:
            await rest.ask(stage.path, "POST", "/v1/sessions", {"alias": "a"})
            answer = await rest.ask(stage.path, "PATCH", "/v1/sessions/a", {}, headers={"If-Match": tag})
            assert (answer.status, answer.json["code"]) == (422, "invalid")

    rest.run(main())


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"alias": "a b"}, "the alias"),
        ({"alias": ""}, "the alias"),
        ({"alias": "x" * 65}, "the alias"),
        ({"alias": "a\n"}, "alias"),
        ({"alias": 5}, "$.alias"),
        ({"description": "x" * 1001}, "$.description"),
        ({"description": "a\0b"}, "the description"),
        ({"labels": {"a b": "c"}}, "the label"),
        ({"labels": {"a": "c" * 257}}, "$.labels"),
        ({"labels": {f"k{n}": "" for n in range(33)}}, "$.labels"),
        ({"lease": "forever"}, "$.lease"),
        ({"nodes": 3}, "nodes"),
        ({"job": {"argv": ["x"]}}, "$.job"),
        ([], "array"),
    ],
)
def test_a_wrong_field_is_named(rest, body, said):
    async def main():
        async with rest.stage() as stage:
            answer = await rest.ask(stage.path, "POST", "/v1/sessions", body)
            assert (answer.status, answer.json["code"]) == (422, "invalid")
            assert said in answer.json["detail"]
            assert (await rest.ask(stage.path, "GET", "/v1/sessions?state=all")).json["items"] == []

    rest.run(main())


@pytest.mark.requirement("D2.7")
def test_a_living_alias_is_taken_an_ended_one_is_free(rest):
    async def main():
        async with rest.stage() as stage, rest.link(stage.path) as http:
            assert (await http.ask("POST", "/v1/sessions", {"alias": "a"})).status == 201
            clash = await http.ask("POST", "/v1/sessions", {"alias": "a"})
            assert (clash.status, clash.json["code"], clash.json["retry"]) == (409, "clash", False)
            await http.ask("DELETE", "/v1/sessions/a")
            assert (await http.ask("POST", "/v1/sessions", {"alias": "a"})).status == 201

    rest.run(main())


def test_trouble_with_the_store_is_told_wherever_one_looks(rest):
    async def main():
        async with rest.stage() as stage, rest.link(stage.path) as http:
            made = await http.ask("POST", "/v1/sessions", {"alias": "a"})
            assert made.json["trouble"] is None
            world = stage.world
            world.troubles.note("somebody", "the disk is full", world.clock)
            told = {"cause": "the disk is full", "since": pytest.approx(world.clock.now(), abs=60)}
            assert (await http.ask("GET", "/v1/sessions/a")).json["trouble"] == told
            assert (await http.ask("GET", "/v1/sessions")).json["items"][0]["trouble"] == told
            assert (await http.ask("GET", "/v1/status")).json["trouble"] == told
            world.troubles.over("somebody")
            assert (await http.ask("GET", "/v1/status")).json["trouble"] is None

    rest.run(main())


@pytest.mark.requirement("L3.5", "L4.15")
def test_leases_and_policies_are_set_and_told_with_where_they_were_set(rest):
    async def main():
        async with rest.stage() as stage, rest.link(stage.path) as http:
            body = {"alias": "a", "lease": "until", "lease_s": 600, "policies": {"on_error_retries": 2}}
            made = (await http.ask("POST", "/v1/sessions", body)).json
            assert made["lease_until"] == pytest.approx(made["created_at"] + 600)
            lease = next(clock for clock in made["clocks"] if clock["name"] == "lease")
            assert (lease["deadline"], lease["then"], len(lease["warnings"])) == (made["lease_until"], "end", 1)
            again = await http.ask("POST", "/v1/sessions/a/extend", {"by_s": 60})
            assert again.status == 200
            assert again.json["lease_until"] == made["lease_until"] + 60
            changed = await http.ask("PATCH", "/v1/sessions/a", {"policies": {"connect_by_s": 300, "on_error": "end"}})
            assert changed.status == 200
            taken = await http.ask("PATCH", "/v1/sessions/a", {"lease": "never", "policies": {"on_error": None}})
            assert (taken.json["lease"], taken.json["lease_until"]) == ("never", None)
            found = (await http.ask("GET", "/v1/sessions/a/policies")).json["items"]
            told = {one["name"]: (one["value"], one["source"]) for one in found}
            assert told["connect_by_s"] == (300, "session")
            assert told["on_error_retries"] == (2, "session")
            assert told["on_error"] == ("report", "default")
            kinds = [event["kind"] for event in (await http.ask("GET", "/v1/sessions/a/events")).json["items"]]
            assert kinds == [
                "session.created", "session.lease_set", "session.policy_set", "session.lease_set", "session.policy_set",
            ]  # fmt: skip

    rest.run(main())


@pytest.mark.parametrize(
    ("method", "target", "body"),
    [
        ("POST", "/v1/sessions", {"lease": "until"}),
        ("POST", "/v1/sessions", {"lease": "never", "lease_until": 4e9}),
        ("POST", "/v1/sessions", {"lease": "until", "lease_until": 10.0}),
        ("POST", "/v1/sessions", {"lease": "until", "lease_until": 4e9, "lease_s": 5}),
        ("POST", "/v1/sessions", {"policies": {"nothing": 1}}),
        ("POST", "/v1/sessions", {"policies": {"on_disconnect": "explode"}}),
        ("PATCH", "/v1/sessions/a", {"lease_until": 4e9}),
        ("PATCH", "/v1/sessions/a", {"policies": {"lease_warnings_s": [1.0] * 11}}),
        ("PATCH", "/v1/sessions/a", {"policies": {"on_error_retries": 1.5}}),
        ("POST", "/v1/sessions/a/extend", {"by_s": 60}),
        ("POST", "/v1/sessions/a/extend", {"by_s": 0}),
        ("POST", "/v1/sessions/a/extend", {}),
    ],
)
def test_impossible_leases_and_policies_are_refused(rest, method, target, body):
    async def main():
        async with rest.stage() as stage, rest.link(stage.path) as http:
            await http.ask("POST", "/v1/sessions", {"alias": "a"})
            answer = await http.ask(method, target, body)
            assert answer.status == 422
            assert answer.json["code"] == "invalid"

    rest.run(main())
