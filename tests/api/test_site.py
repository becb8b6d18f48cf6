"""A site over REST: who is let in, tokens, projects, the audit log; each verb for each who."""

import asyncio
import json
import os

import pytest
from tests.api.test_grant import JOB as NAMED
from tests.api.test_grant import LEASE, REQUESTS, SESSION_VERBS

from hawse.services import attempt
from hawse.services.role import VERBS, admins_may
from hawse.services.world import Site

HERE = os.getuid()
SITE = Site(admins=frozenset({HERE}))
JOB = {"argv": ["/bin/true"], "env": {}, "cwd": "/"}


def bearer(secret, **more):
    return {"headers": {"Authorization": f"Bearer {secret}", **more}}


async def user_with_token(rest, stage, name, **facts):
    """A new user, and a token of his."""
    made = await rest.ask(stage.path, "POST", "/v1/users", {"name": name, **facts})
    assert made.status == 201, made.body
    return await token_of(rest, stage, name)


async def token_of(rest, stage, name, **wish):
    made = await rest.ask(stage.path, "POST", "/v1/tokens", {"name": f"t{len(str(wish))}", "user": name, **wish})
    assert made.status == 201, made.body
    assert made.headers["cache-control"] == "no-store"
    return made.json["secret"]


def on_site(rest, test, site=SITE):
    async def main():
        async with rest.stage(site=site) as stage:
            await test(stage)

    rest.run(main())


# -- who one is ---------------------------------------------------------------------------------------------------


def test_a_token_says_who_one_is_and_a_uid_that_a_user_names_does_so_too(rest):
    async def test(stage):
        secret = await user_with_token(rest, stage, "ada", groups=["group:staff"], about="Ada")
        me = await rest.ask(stage.path, "GET", "/v1/me", **bearer(secret))
        assert me.json == {
            "principal": "user:ada", "groups": ["group:staff"], "user": "ada", "project": "default",
            "is_admin": False, "is_site": True, "read_only": False, "only_project": None,
        }  # fmt: skip
        made = await rest.ask(stage.path, "POST", "/v1/sessions", {"alias": "demo"}, **bearer(secret))
        assert made.json["owner"] == "user:ada"
        assert (await rest.ask(stage.path, "PATCH", "/v1/users/ada", {"uids": [HERE]})).status == 200
        here = (await rest.ask(stage.path, "GET", "/v1/me")).json
        assert (here["principal"], here["user"]) == ("user:ada", "ada")
        assert here["is_admin"], "the service's own account stays an admin, whoever it is"
        assert (await rest.ask(stage.path, "GET", "/v1/sessions/demo")).status == 200

    on_site(rest, test)


def test_an_account_that_nobody_named_is_refused_unless_all_are_let_in(rest):
    async def refused(stage):
        answer = await rest.ask(stage.path, "GET", "/v1/sessions")
        assert (answer.status, answer.json["code"]) == (403, "denied")
        assert f"hawse user add NAME --uid {HERE}" in answer.json["next"]
        assert (await rest.ask(stage.path, "GET", "/healthz")).status == 200
        assert (await rest.ask(stage.path, "GET", "/readyz")).status == 200

    async def let_in(stage):
        me = await rest.ask(stage.path, "GET", "/v1/me")
        assert (me.json["principal"], me.json["is_admin"]) == (f"uid:{HERE}", False)

    on_site(rest, refused, Site(admins=frozenset()))
    on_site(rest, let_in, Site(admins=frozenset(), local_accounts=True))


WRONG = "hwt_" + "0" * 32 + "_" + "A" * 43


@pytest.mark.parametrize("wrong", ["Basic cm9vdA==", "Bearer", "Bearer nonsense", f"Bearer {WRONG}"])
def test_what_is_no_token_is_told_so_and_nothing_of_it(rest, wrong):
    async def test(stage):
        answer = await rest.ask(stage.path, "GET", "/v1/me", headers={"Authorization": wrong})
        assert (answer.status, answer.json["code"]) == (401, "unproven")
        assert answer.headers["www-authenticate"] == 'Bearer realm="hawse"'
        assert wrong.split()[-1] not in answer.body.decode() or wrong in ("Bearer", "Basic cm9vdA==")
        assert answer.json["next"]

    on_site(rest, test)


# -- tokens -------------------------------------------------------------------------------------------------------


def test_a_tokens_secret_is_told_once_and_kept_nowhere(rest):
    async def test(stage):
        await user_with_token(rest, stage, "ada")
        key = {"Idempotency-Key": "k1"}
        wish = {"name": "laptop", "user": "ada"}
        first = await rest.ask(stage.path, "POST", "/v1/tokens", wish, headers=key)
        again = await rest.ask(stage.path, "POST", "/v1/tokens", wish, headers=key)
        assert first.json["token"]["id"] == again.json["token"]["id"], "a retry makes no second token"
        assert first.json["secret"] != again.json["secret"]
        assert (await rest.ask(stage.path, "GET", "/v1/me", **bearer(first.json["secret"]))).status == 401
        assert (await rest.ask(stage.path, "GET", "/v1/me", **bearer(again.json["secret"]))).status == 200
        listed = await rest.ask(stage.path, "GET", "/v1/tokens?user=ada")
        everything = repr(stage.world.store.disk) + repr(stage.lines) + listed.body.decode()
        for secret in (first.json["secret"], again.json["secret"]):
            assert secret not in everything
            assert secret.split("_", 2)[2] not in everything

    on_site(rest, test)


def test_a_token_that_is_revoked_renewed_or_over_opens_nothing(rest):
    async def test(stage):
        secret = await user_with_token(rest, stage, "ada")
        renewed = await rest.ask(stage.path, "POST", "/v1/tokens/t2/renew?user=ada")
        assert renewed.status == 200
        assert (await rest.ask(stage.path, "GET", "/v1/me", **bearer(secret))).status == 401
        own = bearer(renewed.json["secret"])
        assert (await rest.ask(stage.path, "GET", "/v1/me", **own)).status == 200
        assert (await rest.ask(stage.path, "DELETE", "/v1/tokens/t2", **own)).json["state"] == "revoked"
        answer = await rest.ask(stage.path, "GET", "/v1/me", **own)
        assert answer.status == 401
        past = {"name": "p", "user": "ada", "expires_at": 1.0}
        assert (await rest.ask(stage.path, "POST", "/v1/tokens", past)).status == 422

    on_site(rest, test)


def test_a_token_for_looking_changes_nothing(rest):
    """Every verb that changes something, with a token of the session's own owner."""

    async def test(stage):
        all_ = bearer(await user_with_token(rest, stage, "ada"))
        look = bearer(await token_of(rest, stage, "ada", read_only=True))
        await rest.ask(stage.path, "POST", "/v1/sessions", {"alias": "demo", "job": JOB}, **all_)
        assert (await rest.ask(stage.path, "GET", "/v1/sessions", **look)).json["items"][0]["alias"] == "demo"
        assert (await rest.ask(stage.path, "GET", "/v1/sessions/demo", **look)).json["jobs"]
        base = "/v1/sessions/demo"
        for method, path, body in [
            ("POST", "/v1/sessions", {"alias": "other"}),
            ("PATCH", base, {"description": "x"}),
            ("PATCH", base, {"policies": {"on_disconnect": "end"}}),
            ("POST", f"{base}/extend", {"by_s": 60}),
            ("POST", f"{base}/jobs", JOB),
            ("POST", f"{base}/jobs/true/signal", {"signal": "TERM"}),
            ("DELETE", f"{base}/jobs/true", None),
            ("POST", f"{base}/attachments", {"mode": "control", "where": "x"}),
            ("POST", f"{base}/grants", {"principal": "user:bob"}),
            ("POST", f"{base}/links", {}),
            ("DELETE", f"{base}/grants/user:ada", None),
            ("POST", "/v1/links/redeem", {"secret": "0" * 8 + "-0000-7000-8000-" + "0" * 12 + ".x"}),
            ("POST", "/v1/tokens", {"name": "more"}),
            ("DELETE", "/v1/tokens/t2", None),
            ("DELETE", base, None),
        ]:
            answer = await rest.ask(stage.path, method, path, body, **look)
            assert answer.status in (403, 404), (method, path, answer.body)
            assert answer.status == 403 or "redeem" in path, (method, path)
        watching = await rest.ask(stage.path, "POST", f"{base}/attachments", {"mode": "watch", "where": "x"}, **look)
        assert watching.status == 201

    on_site(rest, test)


def test_a_token_for_one_project_reaches_no_other(rest):
    async def test(stage):
        all_ = bearer(await user_with_token(rest, stage, "ada"))
        for name in ("ci", "lab"):
            await rest.ask(stage.path, "POST", "/v1/projects", {"name": name, "members": ["user:ada"]})
        ci = bearer(await token_of(rest, stage, "ada", project="ci"))
        made = await rest.ask(stage.path, "POST", "/v1/sessions", {"alias": "a"}, **ci)
        assert made.json["project"] == "ci"
        other = await rest.ask(stage.path, "POST", "/v1/sessions", {"alias": "b", "project": "lab"}, **all_)
        for method, path, body in [
            ("GET", f"/v1/sessions/{other.json['id']}", None),
            ("DELETE", f"/v1/sessions/{other.json['id']}", None),
            ("POST", "/v1/sessions", {"project": "lab"}),
            ("GET", "/v1/sessions?project=lab", None),
            ("POST", "/v1/tokens", {"name": "more"}),
            ("GET", "/v1/projects/lab", None),
        ]:
            assert (await rest.ask(stage.path, method, path, body, **ci)).status == 403, (method, path)
        listed = await rest.ask(stage.path, "GET", "/v1/sessions", **ci)
        assert [one["alias"] for one in listed.json["items"]] == ["a"]
        nowhere = {"name": "x", "user": "ada", "project": "no"}
        assert (await rest.ask(stage.path, "POST", "/v1/tokens", nowhere)).status == 404

    on_site(rest, test)


def test_wrong_tokens_from_one_place_are_told_to_wait_and_a_good_one_passes(rest):
    async def test(stage):
        good = bearer(await user_with_token(rest, stage, "ada"))
        tries = range(attempt.FAILURES_MAX + 3)
        statuses = [(await rest.ask(stage.path, "GET", "/v1/me", **bearer(WRONG))).status for _ in tries]
        assert statuses == [401] * attempt.FAILURES_MAX + [429] * 3
        assert (await rest.ask(stage.path, "GET", "/v1/me", **good)).status == 200
        told = await rest.ask(stage.path, "GET", "/v1/audit")
        failed = [one for one in told.json["items"] if one["kind"] == "login.failed"]
        assert len(failed) == attempt.FAILURES_MAX
        assert failed[0]["where"] == f"uid:{HERE}"
        assert "A" * 43 not in told.body.decode()

    on_site(rest, test)


# -- users --------------------------------------------------------------------------------------------------------


@pytest.mark.requirement("S6.1", "S7.1", "S8.2")
def test_a_user_who_is_shut_out_is_cut_and_knows_nothing_more(rest):
    """Issue 3, bad input: a user deleted while attached."""

    async def test(stage, verb):
        ada = bearer(await user_with_token(rest, stage, "ada"))
        bob = bearer(await user_with_token(rest, stage, "bob"))
        await rest.ask(stage.path, "POST", "/v1/sessions", {"alias": "demo", "job": JOB}, **ada)
        await rest.ask(stage.path, "POST", "/v1/sessions", {"alias": "hers", "job": JOB}, **bob)
        await rest.ask(stage.path, "POST", "/v1/sessions/hers/grants", {"principal": "user:ada"}, **bob)
        id = (await rest.ask(stage.path, "GET", "/v1/sessions/hers", **bob)).json["id"]
        modes = (("demo", "control"), (id, "watch"))
        made = [
            await rest.ask(stage.path, "POST", f"/v1/sessions/{name}/attachments", {"mode": mode}, **ada)
            for name, mode in modes
        ]
        assert [one.status for one in made] == [201, 201]
        follow = await rest.Link.open(stage.path)
        await follow.send("GET", "/v1/sessions/demo/events", b"", {**ada["headers"], "Accept": "text/event-stream"})
        assert (await follow.head())[0] == 200
        out = await verb(stage)
        assert out.status == 200, out.body
        assert {a["id"] for a in out.json["attachments"]} == {one.json["attachment"]["id"] for one in made}
        assert {a["reason"] for a in out.json["attachments"]} == {"revoked"}
        assert [s["alias"] for s in out.json["sessions"]] == ["demo"], "they stay"
        assert (await rest.ask(stage.path, "GET", "/v1/me", **ada)).status == 401
        async with asyncio.timeout(20):
            while await follow.chunk():
                pass
        follow.close()
        left = await rest.ask(stage.path, "GET", "/v1/sessions/hers", **bob)
        assert left.json["attachments"] == []

    on_site(rest, lambda stage: test(stage, lambda s: rest.ask(s.path, "DELETE", "/v1/users/ada")))
    on_site(rest, lambda stage: test(stage, lambda s: rest.ask(s.path, "POST", "/v1/users/ada/disable")))


def test_a_disabled_user_comes_back_and_a_removed_one_and_his_name_never(rest):
    async def test(stage):
        ada = bearer(await user_with_token(rest, stage, "ada", uids=[4242]))
        await rest.ask(stage.path, "POST", "/v1/users/ada/disable")
        assert (await rest.ask(stage.path, "GET", "/v1/me", **ada)).status == 401
        await rest.ask(stage.path, "POST", "/v1/users/ada/enable")
        assert (await rest.ask(stage.path, "GET", "/v1/me", **ada)).status == 200
        await rest.ask(stage.path, "DELETE", "/v1/users/ada")
        assert (await rest.ask(stage.path, "POST", "/v1/users/ada/enable")).json["code"] == "illegal_move"
        assert (await rest.ask(stage.path, "POST", "/v1/users", {"name": "ada"})).json["code"] == "clash"
        assert (await rest.ask(stage.path, "POST", "/v1/users", {"name": "eva", "uids": [4242]})).status == 201

    on_site(rest, test)


def test_an_admin_gives_a_session_to_another_and_reads_nothing_in_it(rest):
    async def test(stage):
        ada = bearer(await user_with_token(rest, stage, "ada"))
        bob = bearer(await user_with_token(rest, stage, "bob"))
        await rest.ask(stage.path, "POST", "/v1/sessions", {"alias": "demo", "job": JOB}, **ada)
        seen = await rest.ask(stage.path, "GET", "/v1/sessions?whose=everyone")
        assert [one["owner"] for one in seen.json["items"]] == ["user:ada"]
        assert seen.json["items"][0]["jobs"], "an admin sees what he would end"
        for mode in ("watch", "control", "read"):
            answer = await rest.ask(stage.path, "POST", "/v1/sessions/demo/attachments", {"mode": mode, "where": "x"})
            assert answer.status == 403, mode
        assert (await rest.ask(stage.path, "GET", "/v1/sessions/demo/logs/true")).status == 403
        assert (await rest.ask(stage.path, "GET", "/v1/sessions/demo/events")).status == 200
        assert (await rest.ask(stage.path, "POST", "/v1/sessions/demo/give", {"user": "bob"}, **ada)).status == 403
        given = await rest.ask(stage.path, "POST", "/v1/sessions/demo/give", {"user": "bob"})
        assert given.json["owner"] == "user:bob"
        assert (await rest.ask(stage.path, "GET", "/v1/sessions/demo", **ada)).status == 403
        assert (await rest.ask(stage.path, "GET", "/v1/sessions/demo", **bob)).status == 200
        assert (await rest.ask(stage.path, "POST", "/v1/sessions/demo/give", {"user": "eve"})).status == 404
        assert (await rest.ask(stage.path, "DELETE", "/v1/sessions/demo")).status == 202, "an admin ends any"

    on_site(rest, test)


ADMINS_ONLY = [
    ("list_users", "GET", "/v1/users", None),
    ("add_user", "POST", "/v1/users", {"name": "eve"}),
    ("get_user", "GET", "/v1/users/bob", None),
    ("change_user", "PATCH", "/v1/users/ada", {"is_admin": True}),
    ("disable_user", "POST", "/v1/users/bob/disable", None),
    ("enable_user", "POST", "/v1/users/bob/enable", None),
    ("remove_user", "DELETE", "/v1/users/bob", None),
    ("list_tokens", "GET", "/v1/tokens?user=bob", None),
    ("make_token", "POST", "/v1/tokens", {"name": "x", "user": "bob"}),
    ("renew_token", "POST", "/v1/tokens/t2/renew?user=bob", None),
    ("revoke_token", "DELETE", "/v1/tokens/t2?user=bob", None),
    ("add_project", "POST", "/v1/projects", {"name": "mine"}),
    ("change_project", "PATCH", "/v1/projects/default", {"sessions_max": None}),
    ("retire_project", "POST", "/v1/projects/default/retire", None),
    ("revive_project", "POST", "/v1/projects/default/revive", None),
    ("list_audit", "GET", "/v1/audit", None),
    ("list_sessions everyone", "GET", "/v1/sessions?whose=everyone", None),
    ("give_session", "POST", "/v1/sessions/hers/give", {"user": "ada"}),
]


def test_every_verb_for_admins_alone_is_tried_here():
    assert {verb.name for verb in VERBS if verb.only_admins} <= {name for name, *_ in ADMINS_ONLY}


@pytest.mark.requirement("S7.1", "S8.4")
def test_an_admins_cells_in_a_session_of_somebody_else(rest):
    """What needs a capability: an admin without a role may exactly what the table says."""

    async def test(stage):
        bob = bearer(await user_with_token(rest, stage, "bob"))
        for number, verb in enumerate(verb for verb in SESSION_VERBS if verb.needs is not None):
            body = {"alias": f"s{number}", "job": NAMED, **LEASE}
            made = await rest.ask(stage.path, "POST", "/v1/sessions", body, **bob)
            base = f"/v1/sessions/{made.json['id']}"
            await rest.ask(stage.path, "GET", f"{base}/jobs/main?wait_s=20&until=started", **bob)
            watcher = await rest.ask(stage.path, "POST", f"{base}/attachments", {"mode": "watch"}, **bob)
            await rest.ask(stage.path, "POST", f"{base}/grants", {"principal": "uid:78"}, **bob)
            method, path, body = REQUESTS[verb.name]
            path = path.format(s=base, attachment=watcher.json["attachment"]["id"])
            answer = await rest.ask(stage.path, method, path, body)
            wanted = (200, 201, 202) if admins_may(verb) else (403,)
            assert answer.status in wanted, (verb.name, answer.status, answer.body)

    on_site(rest, test)


@pytest.mark.requirement("S7.2")
@pytest.mark.parametrize("verb", ADMINS_ONLY, ids=lambda verb: verb[0])
def test_what_is_for_admins_is_refused_to_users_and_done_for_admins(rest, verb):
    _, method, path, body = verb

    async def test(stage):
        ada = bearer(await user_with_token(rest, stage, "ada"))
        bob = bearer(await user_with_token(rest, stage, "bob"))
        await rest.ask(stage.path, "POST", "/v1/sessions", {"alias": "hers"}, **bob)
        root = bearer(await user_with_token(rest, stage, "root", is_admin=True))
        look = bearer(await token_of(rest, stage, "root", read_only=True))
        for who in (ada, look):
            answer = await rest.ask(stage.path, method, path, body, **who)
            assert (answer.status, answer.json["code"]) == (403, "denied"), answer.body
        answer = await rest.ask(stage.path, method, path, body, **root)
        assert answer.status < 300, answer.body

    on_site(rest, test)


def test_an_admin_does_not_shut_himself_out(rest):
    async def test(stage):
        root = bearer(await user_with_token(rest, stage, "root", is_admin=True))
        for method, path, body in [
            ("POST", "/v1/users/root/disable", None),
            ("DELETE", "/v1/users/root", None),
            ("PATCH", "/v1/users/root", {"is_admin": False}),
        ]:
            assert (await rest.ask(stage.path, method, path, body, **root)).status == 422, path

    on_site(rest, test)


def test_a_users_own_coordinator_has_no_users_and_says_so(rest):
    async def main():
        async with rest.stage(only=f"uid:{HERE}") as stage:
            for method, path, body in [("POST", "/v1/users", {"name": "ada"}), ("POST", "/v1/tokens", {"name": "x"})]:
                answer = await rest.ask(stage.path, method, path, body)
                assert answer.status == 422
                assert "hawse serve --config" in answer.json["next"]
            assert (await rest.ask(stage.path, "POST", "/v1/projects", {"name": "ci", "sessions_max": 1})).status == 201
            assert (await rest.ask(stage.path, "POST", "/v1/sessions", {"project": "ci"})).status == 201
            full = await rest.ask(stage.path, "POST", "/v1/sessions", {"project": "ci"})
            assert (full.status, full.json["code"]) == (429, "limit_reached")

    rest.run(main())


# -- projects -----------------------------------------------------------------------------------------------------


def test_a_quota_is_told_with_its_use_and_is_free_again_after_an_end(rest, eventually):
    async def test(stage):
        ada = bearer(await user_with_token(rest, stage, "ada"))
        facts = {"name": "ci", "sessions_max": 2, "jobs_max": 2, "members": ["user:ada"]}
        assert (await rest.ask(stage.path, "POST", "/v1/projects", facts)).status == 201
        in_ci = {"headers": {**ada["headers"], "Hawse-Project": "ci"}}
        for alias in ("a", "b"):
            made = await rest.ask(stage.path, "POST", "/v1/sessions", {"alias": alias, "job": JOB}, **in_ci)
            assert made.status == 201, made.body
        full = await rest.ask(stage.path, "POST", "/v1/sessions", {"alias": "c"}, **in_ci)
        assert full.json["detail"] == "project ci has 2 living sessions; its quota is 2"
        assert (full.json["used"], full.json["limit"], full.json["quota"]) == (2, 2, "living sessions")
        jobs = await rest.ask(stage.path, "POST", "/v1/sessions/a/jobs", JOB, **in_ci)
        assert jobs.json["detail"] == "project ci has 2 jobs that are not over; its quota is 2"
        await rest.ask(stage.path, "DELETE", "/v1/sessions/a", **in_ci)

        async def is_free():
            return (await rest.ask(stage.path, "POST", "/v1/sessions", {"alias": "c"}, **in_ci)).status == 201

        await eventually.wait(is_free)
        use = (await rest.ask(stage.path, "GET", "/v1/projects/ci", **ada)).json["use"]
        assert use == {"sessions": 2, "jobs": 1}

    on_site(rest, test)


def test_a_projects_lifetimes_and_policies_count(rest):
    async def test(stage):
        ada = bearer(await user_with_token(rest, stage, "ada"))
        facts = {"name": "ci", "lease_s": 600, "lease_s_max": 1000, "members": ["everyone"],
                 "policies": {"on_error": "restart", "on_error_retries": 5}}  # fmt: skip
        await rest.ask(stage.path, "POST", "/v1/projects", facts)
        made = (await rest.ask(stage.path, "POST", "/v1/sessions", {"alias": "a", "project": "ci"}, **ada)).json
        assert made["lease"] == "until"
        assert 590 < made["lease_until"] - made["created_at"] <= 600.1
        never = await rest.ask(stage.path, "POST", "/v1/sessions", {"lease": "never", "project": "ci"}, **ada)
        assert never.status == 422
        path = f"/v1/sessions/{made['id']}"
        assert (await rest.ask(stage.path, "POST", f"{path}/extend", {"by_s": 300}, **ada)).status == 200
        late = await rest.ask(stage.path, "POST", f"{path}/extend", {"by_s": 300}, **ada)
        assert late.status == 422
        assert "project ci" in late.json["detail"]
        async def policies():
            items = (await rest.ask(stage.path, "GET", f"{path}/policies", **ada)).json["items"]
            return {one["name"]: (one["value"], one["source"]) for one in items}

        found = await policies()
        assert found["on_error"] == ("restart", "project")
        assert found["on_error_retries"] == (5, "project")
        assert found["on_disconnect"] == ("keep", "default")
        await rest.ask(stage.path, "PATCH", path, {"policies": {"on_error": "end"}}, **ada)
        assert (await policies())["on_error"] == ("end", "session"), "what is nearer counts"

    on_site(rest, test)


def test_who_is_no_member_begins_nothing_and_a_retired_project_takes_nothing(rest):
    async def test(stage):
        ada = bearer(await user_with_token(rest, stage, "ada", groups=["group:staff"]))
        await rest.ask(stage.path, "POST", "/v1/projects", {"name": "ci"})
        answer = await rest.ask(stage.path, "POST", "/v1/sessions", {"project": "ci"}, **ada)
        assert (answer.status, answer.json["project"]) == (403, "ci")
        assert (await rest.ask(stage.path, "POST", "/v1/sessions", {"project": "nope"}, **ada)).status == 404
        listed = await rest.ask(stage.path, "GET", "/v1/projects", **ada)
        assert [one["project"]["name"] for one in listed.json["items"]] == ["default"]
        await rest.ask(stage.path, "PATCH", "/v1/projects/ci", {"members_added": ["group:staff"]})
        x_in_ci = {"alias": "x", "project": "ci"}
        assert (await rest.ask(stage.path, "POST", "/v1/sessions", x_in_ci, **ada)).status == 201
        same = await rest.ask(stage.path, "POST", "/v1/sessions", {"alias": "x"}, **ada)
        assert same.status == 201, "an alias is one project's own"
        await rest.ask(stage.path, "POST", "/v1/projects/ci/retire")
        closed = await rest.ask(stage.path, "POST", "/v1/sessions", {"project": "ci"}, **ada)
        assert (closed.status, closed.json["code"]) == (409, "illegal_move")
        in_ci = {"headers": {**ada["headers"], "Hawse-Project": "ci"}}
        assert (await rest.ask(stage.path, "POST", "/v1/sessions/x/jobs", JOB, **in_ci)).status == 201, "it lives on"
        await rest.ask(stage.path, "POST", "/v1/projects/ci/revive")
        assert (await rest.ask(stage.path, "POST", "/v1/sessions", {"project": "ci"}, **ada)).status == 201
        absent = await rest.ask(stage.path, "PATCH", "/v1/projects/ci", {"members_dropped": ["user:bob"]})
        assert absent.status == 404

    on_site(rest, test)


# -- the audit log ------------------------------------------------------------------------------------------------


def test_what_changes_a_right_or_ends_something_is_in_the_audit_log(rest):
    async def test(stage):
        ada = bearer(await user_with_token(rest, stage, "ada"))
        bob = bearer(await user_with_token(rest, stage, "bob"))
        await rest.ask(stage.path, "POST", "/v1/projects", {"name": "ci"})
        await rest.ask(stage.path, "PATCH", "/v1/projects/ci", {"sessions_max": 3})
        await rest.ask(stage.path, "POST", "/v1/sessions", {"alias": "demo", "job": JOB}, **ada)
        assert (await rest.ask(stage.path, "GET", "/v1/sessions/demo", **bob)).status == 403
        shared = bearer("")
        shared = {"headers": {**ada["headers"], "Idempotency-Key": "req-7"}}
        await rest.ask(stage.path, "POST", "/v1/sessions/demo/grants", {"principal": "user:bob"}, **shared)
        link = await rest.ask(stage.path, "POST", "/v1/sessions/demo/links", {}, **ada)
        await rest.ask(stage.path, "DELETE", "/v1/sessions/demo/grants/user:bob", **ada)
        await rest.ask(stage.path, "POST", "/v1/links/redeem", {"secret": link.json["secret"]}, **bob)
        await rest.ask(stage.path, "DELETE", "/v1/sessions/demo?reason=over", **ada)
        await rest.ask(stage.path, "DELETE", "/v1/tokens/t2?user=bob")
        await rest.ask(stage.path, "POST", "/v1/users/bob/disable")
        told = await rest.ask(stage.path, "GET", "/v1/audit")
        kinds = [one["kind"] for one in told.json["items"]]
        assert kinds == [
            "user.created", "token.created", "user.created", "token.created", "project.created", "project.changed",
            "session.refused", "grant.created", "link.made", "grant.revoked", "link.redeemed", "session.end_asked",
            "token.revoked", "user.disabled",
        ]  # fmt: skip
        given = told.json["items"][7]
        assert (given["by"], given["request"], given["detail"]["principal"]) == ("user:ada", "req-7", "user:bob")
        assert given["where"].startswith("pid ")
        assert told.json["items"][5]["detail"] == {"sessions_max": 3}
        assert link.json["secret"] not in told.body.decode()
        after = told.json["next"]
        assert (await rest.ask(stage.path, "GET", f"/v1/audit?from={after}")).json["items"] == []
        waiting = asyncio.ensure_future(rest.ask(stage.path, "GET", f"/v1/audit?from={after}&wait_s=30"))
        await rest.until(lambda: stage.desk._waiting)
        await rest.ask(stage.path, "POST", "/v1/users/bob/enable")
        assert [one["kind"] for one in (await waiting).json["items"]] == ["user.enabled"]

    on_site(rest, test)


def test_a_refused_change_leaves_no_entry(rest):
    async def test(stage):
        await user_with_token(rest, stage, "ada")
        before = (await rest.ask(stage.path, "GET", "/v1/audit")).json["last"]
        assert (await rest.ask(stage.path, "POST", "/v1/users", {"name": "ada"})).status == 409
        assert (await rest.ask(stage.path, "POST", "/v1/users", {"name": "b:d"})).status == 422
        assert (await rest.ask(stage.path, "PATCH", "/v1/users/ada", {"project": "nope"})).status == 404
        assert (await rest.ask(stage.path, "GET", "/v1/audit")).json["last"] == before
        assert json.loads((await rest.ask(stage.path, "GET", "/v1/users/ada")).body)["project"] == "default"

    on_site(rest, test)
