"""Channels and notices through REST: one's own, each field with its bound, secrets told once and kept nowhere."""

import json

import pytest
from tests.other_users import STRANGERS, need_root, opened

URL = {"url": "http://127.0.0.1:9/"}
HOOK = {"means": "webhook", "settings": URL}
MAIL = {"means": "mail", "settings": {"host": "localhost", "recipients": ["a@example.org"], "login": "me"}}
ID = "01890a5d-ac96-774b-bcce-b302099a8057"


@pytest.mark.requirement("S2.7")
def test_a_channel_s_life(rest):
    async def main():
        async with rest.stage() as stage, rest.link(stage.path) as me:
            made = await me.ask("POST", "/v1/channels", {**HOOK, "name": "desk", "kinds": ["job_failed"]})
            assert (made.status, made.headers["cache-control"], made.headers["etag"]) == (201, "no-store", '"1"')
            assert made.json["secret"].startswith("whsec_")
            assert (made.json["kinds"], made.json["state"]) == (["job_failed"], "on")
            listed = (await me.ask("GET", "/v1/channels")).json
            assert [(one["name"], one["secret"]) for one in listed["items"]] == [("desk", "")]
            assert listed["next"] is None
            same = await me.ask("GET", f"/v1/channels/{made.json['id']}")
            assert same.json == (await me.ask("GET", "/v1/channels/desk")).json
            changed = await me.ask("PATCH", "/v1/channels/desk", {"state": "off"}, headers={"If-Match": '"1"'})
            assert (changed.status, changed.json["state"], changed.json["version"]) == (200, "off", 2)
            late = await me.ask("PATCH", "/v1/channels/desk", {"name": "x"}, headers={"If-Match": '"1"'})
            assert (late.status, late.json["code"]) == (412, "conflict")
            off = await me.ask("POST", "/v1/channels/desk/test")
            assert (off.status, off.json["next"]) == (409, "hawse notify on desk")
            wrong = await me.ask("DELETE", "/v1/channels/desk", headers={"If-Match": '"1"'})
            assert wrong.status == 412
            assert (await me.ask("DELETE", "/v1/channels/desk")).json["name"] == "desk"
            gone = await me.ask("GET", "/v1/channels/desk")
            assert (gone.status, gone.json["next"]) == (404, "hawse notify ls lists yours")

    rest.run(main())


def test_a_retry_gets_the_same_channel_with_a_key_that_works_and_no_key_is_kept_in_answers(rest):
    async def main():
        async with rest.stage() as stage, rest.link(stage.path) as me:
            key = {"Idempotency-Key": "k1"}
            first, again = [await me.ask("POST", "/v1/channels", HOOK, headers=key) for _ in range(2)]
            assert first.json["id"] == again.json["id"]
            assert first.json["secret"] != again.json["secret"]
            given = await me.ask("POST", "/v1/channels", {**MAIL, "secret": "hunter2-hunter2"}, headers={
                "Idempotency-Key": "k2"
            })  # fmt: skip
            retried = await me.ask("POST", "/v1/channels", {**MAIL, "secret": "hunter2-hunter2"}, headers={
                "Idempotency-Key": "k2"
            })  # fmt: skip
            assert given.json["secret"] == retried.json["secret"] == ""
            other = await me.ask("POST", "/v1/channels", {**HOOK, "name": "x"}, headers=key)
            assert other.json["code"] == "request_reused"
            disk = stage.world.store.disk
            kept = repr(disk.answers) + repr(disk.channels) + json.dumps(stage.lines)
            for word in (first.json["secret"], again.json["secret"], "hunter2"):
                assert word.removeprefix("whsec_") not in kept

    rest.run(main())


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({}, "required"), ({**HOOK, "x": 1}, "unknown field"), ({**HOOK, "means": "pigeon"}, "pigeon"),
        ({**HOOK, "settings": {"url": "file:///etc/passwd"}}, "no http"), ({**HOOK, "settings": {"url": 7}}, "a text"),
        ({**HOOK, "settings": {"host": "x"}}, "no setting"), ({**HOOK, "kinds": ["moon"]}, "no kind of notice 'moon'"),
        ({**HOOK, "kinds": []}, "kinds"), ({**HOOK, "sessions": ["x"] * 33}, "sessions"),
        ({**HOOK, "secret": "whsec_short"}, "the secret"), ({**HOOK, "name": "a/b"}, "not valid"),
        (MAIL, "no password"), ({**MAIL, "secret": "a\nb"}, "control"),
        ({"means": "command", "settings": {"argv": ["x"] * 65}}, "length <= 64"),
        ({**HOOK, "settings": {"url": "http://x/" + "a" * 3000}}, "at most 2000"),
    ],
)  # fmt: skip
def test_bad_input_is_told_in_words_and_makes_nothing(rest, body, words):
    async def main():
        async with rest.stage() as stage, rest.link(stage.path) as me:
            answer = await me.ask("POST", "/v1/channels", body)
            assert answer.status in (413, 422)
            assert words in json.dumps(answer.json)
            assert (await me.ask("GET", "/v1/channels")).json["items"] == []

    rest.run(main())


def test_a_notice_is_waited_for_listed_and_sent_again(rest):
    """No notifier is on this stage: each notice fails at once, which is told."""

    async def main():
        async with rest.stage() as stage, rest.link(stage.path) as me:
            await me.ask("POST", "/v1/channels", {**HOOK, "name": "desk"})
            made = await me.ask("POST", "/v1/channels/desk/test")
            assert (made.status, made.json["kind"], made.json["state"]) == (201, "test", "waiting")
            path = f"/v1/notices/{made.json['id']}"
            went = await me.ask("GET", f"{path}?wait_s=20")
            assert (went.json["state"], went.json["attempts"]) == ("failed", 1)
            assert "sends nothing over a webhook" in went.json["cause"]
            more = [(await me.ask("POST", "/v1/channels/desk/test")).json["id"] for _ in range(4)]
            for id in more:
                await me.ask("GET", f"/v1/notices/{id}?wait_s=20")
            page = (await me.ask("GET", "/v1/notices?limit=3&state=failed&channel=desk")).json
            assert [one["id"] for one in page["items"]] == sorted(more, reverse=True)[:3]
            rest_of = (await me.ask("GET", f"/v1/notices?limit=3&after={page['next']}")).json
            assert [one["id"] for one in rest_of["items"]] == [sorted(more)[0], made.json["id"]]
            assert (await me.ask("GET", "/v1/channels/desk")).json["failed"] == 5
            again = await me.ask("POST", f"{path}/send")
            assert (again.status, again.json["state"]) == (200, "waiting")
            went = await me.ask("GET", f"{path}?wait_s=20&tries=1")
            assert (went.json["state"], went.json["attempts"]) == ("failed", 2)
            for target, status in (
                (f"/v1/notices/{ID}", 404), ("/v1/notices/x", 404), ("/v1/notices?state=moon", 422),
                ("/v1/notices?channel=nobody", 404), ("/v1/notices?limit=0", 422), (f"{path}?wait_s=61", 422),
            ):  # fmt: skip
                assert (await me.ask("GET", target)).status == status, target

    rest.run(main())


@pytest.mark.requirement("S7.1", "S7.2")
def test_another_user_s_channels_are_not_there(rest):
    need_root()

    async def main():
        async with rest.stage() as stage, rest.link(stage.path) as me:
            opened(stage.path.rpartition("/")[0], stage.path)
            made = (await me.ask("POST", "/v1/channels", {**HOOK, "name": "desk"})).json
            notice = (await me.ask("POST", "/v1/channels/desk/test")).json
            async with rest.link(stage.path, uid=STRANGERS[5]) as eve:
                for method, target, body in (
                    ("GET", "/v1/channels/desk", None), ("GET", f"/v1/channels/{made['id']}", None),
                    ("PATCH", f"/v1/channels/{made['id']}", {"settings": {"url": "http://evil.example/"}}),
                    ("DELETE", f"/v1/channels/{made['id']}", None), ("POST", f"/v1/channels/{made['id']}/test", None),
                    ("GET", f"/v1/notices/{notice['id']}", None), ("POST", f"/v1/notices/{notice['id']}/send", None),
                    ("GET", f"/v1/notices?channel={made['id']}", None),
                ):  # fmt: skip
                    answer = await eve.ask(method, target, body)
                    assert answer.status == 404, (method, target)
                    assert "127.0.0.1" not in answer.body.decode()
                own = await eve.ask("POST", "/v1/channels", {**HOOK, "name": "desk"})
                assert own.status == 201, "names are one's own, too"
                assert [one["id"] for one in (await eve.ask("GET", "/v1/channels")).json["items"]] == [own.json["id"]]
                assert (await eve.ask("GET", "/v1/notices")).json["items"] == []
                for means in ("command", "desktop"):
                    settings = {"argv": ["id"]} if means == "command" else {}
                    answer = await eve.ask("POST", "/v1/channels", {"means": means, "settings": settings})
                    assert (answer.status, answer.json["code"]) == (403, "denied")

    rest.run(main())
