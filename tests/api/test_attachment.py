"""api/rest/attachment.py: admission under the policies, control, and who is active."""

import pytest


async def begun(rest, stage, http, **policies):
    body = {"alias": "a", "job": rest.JOB, "policies": policies}
    made = await http.ask("POST", "/v1/sessions", body)
    assert made.status == 201, made.body
    return "/v1/sessions/a/attachments"


@pytest.mark.requirement("S5.4", "S8.5")
def test_the_second_is_told_who_has_control_and_takes_it(rest):
    async def main():
        async with rest.stage() as stage, rest.link(stage.path) as http:
            path = await begun(rest, stage, http)
            first = (await http.ask("POST", path, {"where": "desk"})).json
            second = (await http.ask("POST", path, {"where": "laptop"})).json
            assert (first["attachment"]["holds"], first["holder"]) == (True, None)
            assert not second["attachment"]["holds"]
            assert second["holder"]["where"] == "desk"
            for had in ("desk", "laptop"):
                taken = await http.ask("POST", f"{path}/{second['attachment']['id']}/take", {})
                assert (taken.status, taken.json["before"]["where"]) == (200, had)
                assert taken.json["attachment"]["fence"] > first["attachment"]["fence"]
            watcher = (await http.ask("POST", path, {"mode": "watch"})).json["attachment"]["id"]
            refused = await http.ask("POST", f"{path}/{watcher}/take", {})
            assert (refused.status, refused.json["code"]) == (409, "illegal_move")
            missing = await http.ask("POST", f"{path}/01890a5d-ac96-774b-bcce-b302099a8057/take", {})
            assert missing.status == 404

    rest.run(main())


@pytest.mark.requirement("S5.2", "S5.3")
def test_the_policies_through_rest(rest):
    async def main():
        async with rest.stage() as stage, rest.link(stage.path) as http:
            path = await begun(rest, stage, http, attach="reject")
            first = (await http.ask("POST", path, {"where": "desk"})).json["attachment"]["id"]
            held = await http.ask("POST", path, {})
            assert (held.status, held.json["code"], held.json["retry"]) == (409, "held", False)
            assert held.json["where"] == "desk"
            assert held.json["attachment"] == first
            assert "--watch" in held.json["next"]
            stolen = await http.ask("POST", path, {"policy": "steal"})
            assert stolen.json["attachment"]["holds"]
            back = await http.ask("POST", path, {"attachment": first})
            assert (back.status, back.json["code"], back.json["reason"]) == (409, "fenced", "stolen")
            for body in ({"policy": "grab"}, {"policy": "steal", "mode": "watch"}):
                assert (await http.ask("POST", path, body)).status == 422
            wrong = await http.ask("PATCH", "/v1/sessions/a", {"policies": {"attach": "grab"}})
            assert wrong.status == 422
            policies = (await http.ask("GET", "/v1/sessions/a/policies")).json["items"]
            told = {one["name"]: (one["value"], one["source"]) for one in policies}
            assert told["attach"] == ("reject", "session")
            assert told["control_idle_s"] == (600.0, "default")
            assert told["idle_s"] == (43200.0, "default")

    rest.run(main())


def test_activity_is_asked_for_who_wants_it(rest):
    async def main():
        async with rest.stage() as stage, rest.link(stage.path) as http:
            path = await begun(rest, stage, http)
            await http.ask("POST", path, {})
            for query in ("", "?activity=stored", "?activity=live"):
                found = await http.ask("GET", f"{path}{query}")
                assert (found.status, len(found.json["items"])) == (200, 1)
            wrong = await http.ask("GET", f"{path}?activity=now")
            assert (wrong.status, wrong.json["code"]) == (422, "invalid")

    rest.run(main())
