"""The authorization table through REST, cell by cell, by real users of this machine; links; refusals; feeds."""

import asyncio
import json
import os
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
from tests.other_users import NOBODY, STRANGERS, need_root, opened

from hawse.api.rest.groups import Groups, groups_of
from hawse.domain.grant import Role
from hawse.services.role import BY_NAME, VERBS, allowed

JOB = {"argv": ["/bin/true"], "env": {}, "cwd": "/", "name": "main", "tty": {"columns": 80, "rows": 24}}
LEASE = {"lease": "until", "lease_s": 3600}
UIDS = {None: STRANGERS[0], **{role: STRANGERS[1 + n] for n, role in enumerate(Role)}}
ID = "01890a5d-ac96-774b-bcce-b302099a8057"

# What each verb of the table asks REST: method, path behind the session, body, query.
REQUESTS = {
    "list_sessions": ("GET", "/v1/sessions", None),
    "create_session": ("POST", "/v1/sessions", {}),
    "get_session": ("GET", "{s}", None),
    "describe_session": ("PATCH", "{s}", {"description": "x"}),
    "describe_session lease": ("PATCH", "{s}", {"lease": "jobs"}),
    "extend_session": ("POST", "{s}/extend", {"by_s": 60}),
    "list_policies": ("GET", "{s}/policies", None),
    "describe_session policies": ("PATCH", "{s}", {"policies": {"on_error": "end"}}),
    "end_session": ("DELETE", "{s}", None),
    "list_events": ("GET", "{s}/events", None),
    "run_job": ("POST", "{s}/jobs", {**JOB, "name": None}),
    "list_jobs": ("GET", "{s}/jobs", None),
    "get_job": ("GET", "{s}/jobs/main", None),
    "read_log": ("GET", "{s}/logs/main", None),
    "attach read": ("POST", "{s}/attachments", {"mode": "read"}),
    "attach watch": ("POST", "{s}/attachments", {"mode": "watch"}),
    "attach control": ("POST", "{s}/attachments", {"mode": "control"}),
    "signal_job": ("POST", "{s}/jobs/main/signal", {"signal": "USR1"}),
    "stop_job": ("DELETE", "{s}/jobs/main", None),
    "list_attachments": ("GET", "{s}/attachments", None),
    "detach": ("DELETE", "{s}/attachments/{attachment}", None),
    "list_grants": ("GET", "{s}/grants", None),
    "share": ("POST", "{s}/grants", {"principal": "uid:77"}),
    "make_link": ("POST", "{s}/links", {}),
    "unshare": ("DELETE", "{s}/grants/uid:78", None),
    "redeem_link": ("POST", "/v1/links/redeem", {"secret": f"{ID}.x"}),
}


# Those of a site are tested in test_site.
SITE = ("user", "users", "me", "token", "tokens", "project", "projects", "audit", "everyone")
SESSION_VERBS = [verb for verb in VERBS if not verb.only_admins and verb.name.split("_")[-1] not in SITE]


@asynccontextmanager
async def shared(rest, *uids, only: str = "", **grants):
    """A session of ours with a running job and a watcher; connections of these users."""
    need_root()
    async with rest.stage(only=only) as stage, AsyncExitStack() as links:
        opened(os.path.dirname(stage.path), stage.path)
        me = await links.enter_async_context(rest.link(stage.path))
        made = await me.ask("POST", "/v1/sessions", {"alias": "a", "job": JOB, **LEASE})
        base = f"/v1/sessions/{made.json['id']}"
        await rest.until(lambda: stage.launcher.running)
        await me.ask("GET", f"{base}/jobs/main?wait_s=20&until=started")
        watcher = await me.ask("POST", f"{base}/attachments", {"mode": "watch"})
        for uid, role in grants.items():
            answer = await me.ask("POST", f"{base}/grants", {"principal": f"uid:{uid[1:]}", "role": role})
            assert answer.status == 201, answer.body
        users = [await links.enter_async_context(rest.link(stage.path, uid=uid)) for uid in uids]
        yield stage, me, base, watcher.json["attachment"]["id"], users


def test_the_requests_of_this_test_are_the_verbs_of_the_table():
    assert set(REQUESTS) == {verb.name for verb in SESSION_VERBS}


@pytest.mark.requirement("S7.1", "S7.2", "S8.3", "S8.4")
@pytest.mark.parametrize("role", [None, *Role])
def test_each_cell_of_the_table(rest, role):
    """A fresh session for each verb: some end what others need."""

    async def main():
        uid = UIDS[role]
        grants = {f"u{uid}": role.value} if role else {}
        for verb in SESSION_VERBS:
            async with shared(rest, uid, only="uid:0", **grants, u78="observer") as (_, me, base, watcher, (user,)):
                method, path, body = REQUESTS[verb.name]
                answer = await user.ask(method, path.format(s=base, attachment=watcher), body)
                may = role in allowed(verb) if verb.needs else verb.name == "list_sessions"
                wanted = (200, 201, 202) if may else (403,)
                assert answer.status in wanted, (verb.name, role, answer.status, answer.body)
                if verb.needs:
                    events = (await me.ask("GET", f"{base}/events")).json["items"]
                    refused = [event for event in events if event["kind"] == "session.refused"]
                    assert bool(refused) == (not may), (verb.name, role)
                    for event in refused:
                        assert event["by"] == f"uid:{uid}"
                        assert event["detail"]["what"].startswith(f"{method} /v1/")
                        assert event["detail"]["where"].startswith("pid ")
                        seen = "session:see" if role is None and verb.name in ("detach", "unshare") else verb.needs
                        assert event["detail"]["capability"] == seen

    rest.run(main(), timeout_s=240)


@pytest.mark.requirement("S7.2")
def test_a_stolen_or_guessed_id_opens_nothing_and_is_seen(rest):
    async def main():
        async with shared(rest, STRANGERS[9]) as (_, me, base, watcher, (eve,)):
            for target in (base, "/v1/sessions/a", f"{base}/jobs/main", f"{base}/attachments/{watcher}"):
                assert (
                    await eve.ask("GET" if target != f"{base}/attachments/{watcher}" else "DELETE", target)
                ).status == 403
            assert (await eve.ask("GET", f"/v1/sessions/{ID}")).status == 404
            assert (await eve.ask("GET", "/v1/sessions?state=all")).json["items"] == []
            resume = {"mode": "control", "attachment": watcher}
            assert (await eve.ask("POST", f"{base}/attachments", resume)).status == 403
            events = (await me.ask("GET", f"{base}/events")).json["items"]
            told = [event["detail"] for event in events if event["kind"] == "session.refused"]
            assert sum(one["count"] for one in told) == len(told) == 3, "one for each capability that was tried"

    rest.run(main())


@pytest.mark.requirement("S6.2")
def test_a_link_through_rest(rest):
    async def main():
        ada, eve = STRANGERS[2], STRANGERS[3]
        async with shared(rest, ada, eve) as (stage, me, base, _, users):
            key = {"Idempotency-Key": "k1"}
            first = await me.ask("POST", f"{base}/links", {"role": "operator"}, headers=key)
            again = await me.ask("POST", f"{base}/links", {"role": "operator"}, headers=key)
            assert first.headers["cache-control"] == "no-store"
            assert first.json["link"]["id"] == again.json["link"]["id"]
            assert first.json["secret"] != again.json["secret"]
            secret = again.json["secret"]
            assert (await users[0].ask("POST", "/v1/links/redeem", {"secret": first.json["secret"]})).status == 403
            for _ in range(2):
                grant = await users[0].ask("POST", "/v1/links/redeem", {"secret": secret})
                assert (grant.status, grant.json["role"], grant.json["principal"]) == (200, "operator", f"uid:{ada}")
            used = await users[1].ask("POST", "/v1/links/redeem", {"secret": secret})
            assert (used.status, used.json["code"]) == (410, "expired")
            assert (await users[0].ask("GET", "/v1/sessions?whose=shared")).json["items"][0]["alias"] == "a"
            hidden = secret.partition(".")[2]
            events = (await me.ask("GET", f"{base}/events")).body.decode()
            kept = repr(stage.world.store.disk)
            for place in (events, kept, json.dumps(stage.lines)):
                assert hidden not in place
            gone = await me.ask("DELETE", f"{base}/grants/{first.json['link']['id']}")
            assert len(gone.json["grants"]) == 2
            assert (await users[0].ask("GET", base)).status == 403

    rest.run(main())


def test_an_answer_that_names_a_secret_is_not_kept_for_retries(rest):
    async def main():
        async with shared(rest) as (stage, me, base, _, _users):
            made = await me.ask("POST", f"{base}/links", {}, headers={"Idempotency-Key": "k"})
            answer = await stage.world.store.read(lambda view: view.answer("uid:0", "k"))
            assert set(json.loads(answer.body)) == {"id", "version"}
            assert made.json["secret"].partition(".")[2] not in answer.body.decode()

    rest.run(main())


@pytest.mark.requirement("S7.2", "S8.1")
def test_a_feed_ends_with_the_grant(rest):
    async def main():
        ada = STRANGERS[2]
        async with shared(rest, ada, ada, **{f"u{ada}": "observer"}) as (_, me, base, _, (feed, poll)):
            await feed.send("GET", f"{base}/events", b"", {"Accept": "text/event-stream"})
            assert (await feed.head())[0] == 200
            last = (await me.ask("GET", base)).json["last_seq"]
            waiting = asyncio.create_task(poll.ask("GET", f"{base}/events?from={last + 1}&wait_s=30"))
            while b"attachment.created" not in await feed.chunk():
                pass
            await me.ask("DELETE", f"{base}/grants/uid:{ada}")
            rest_of_feed = b""
            while chunk := await feed.chunk():
                rest_of_feed += chunk
            assert b"grant.revoked" not in rest_of_feed
            assert (await waiting).status == 403

    rest.run(main())


def test_who_may_call_but_not_start_anything(rest):
    async def main():
        async with shared(rest, STRANGERS[1], only="uid:0") as (stage, _, _, _, (eve,)):
            answer = await eve.ask("POST", "/v1/sessions", {"job": JOB})
            assert (answer.status, answer.json["code"]) == (403, "denied")
            assert len(stage.launcher.running) == 1

    rest.run(main())


@pytest.mark.requirement("S7.1")
def test_groups_are_those_of_the_peers_user(rest):
    async def main():
        async with shared(rest, NOBODY, STRANGERS[1]) as (_, me, base, _, (member, other)):
            group = min(groups_of(NOBODY))
            assert (await me.ask("POST", f"{base}/grants", {"principal": group})).status == 201
            assert (await member.ask("GET", base)).status == 200
            assert (await other.ask("GET", base)).status == 403
            (shown,) = (await member.ask("GET", f"{base}/grants")).json["items"]
            assert shown["principal"] == group

    rest.run(main())


def test_groups_are_looked_up_once_and_a_slow_directory_holds_nobody_up(rest, monkeypatch):
    monkeypatch.setattr("hawse.api.rest.groups.LOOK_S_MAX", 0.05)
    asked = []

    async def main():
        import threading

        slow = threading.Event()

        def look_up(uid):
            asked.append(uid)
            if uid == 2:
                slow.wait(20)
            if uid == 3:
                raise OSError("the directory is away")
            return frozenset({f"group:g{uid}"})

        groups = Groups(look_up)
        assert await asyncio.gather(groups.of(1), groups.of(1)) == [{"group:g1"}] * 2
        assert asked == [1]
        assert await groups.of(2) == frozenset()
        assert await groups.of(3) == frozenset()
        slow.set()
        await rest.until(lambda: groups.known(2) == {"group:g2"})
        assert groups.known(3) is None

    rest.run(main())
    assert groups_of(STRANGERS[0]) == frozenset()


def test_the_table_is_data(rest):
    async def main():
        async with rest.stage() as stage:
            table = (await rest.ask(stage.path, "GET", "/v1/roles")).json
            assert {verb["name"] for verb in table["verbs"]} == set(BY_NAME)
            assert table["roles"]["observer"] == ["event:read", "job:read", "job:watch", "session:see"]

    rest.run(main())


@pytest.mark.parametrize(
    "body",
    [
        {"principal": "ada"}, {"principal": "uid:1", "role": "king"}, {"principal": "uid:1", "can": ["x:y"]},
        {"principal": "uid:1", "expires_at": 1}, {"principal": "uid:1", "more": 1}, {}, {"principal": "uid:1" * 30},
        {"principal": "uid:1", "can": ["job:watch"] * 65}, {"principal": None}, {"principal": "uid:1", "role": "o\0"},
    ],
)  # fmt: skip
def test_nonsense_is_refused(rest, body):
    async def main():
        async with rest.stage() as stage, rest.link(stage.path) as me:
            made = await me.ask("POST", "/v1/sessions", {})
            answer = await me.ask("POST", f"/v1/sessions/{made.json['id']}/grants", body)
            assert answer.status == 422, answer.body

    rest.run(main())
