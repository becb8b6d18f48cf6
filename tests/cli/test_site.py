"""Users, tokens, projects and the audit log on the command line, at a real site service."""

import json
import os
import stat

import pytest
from tests.cli.conftest import CommandLine, end_parent
from tests.site_service import serving


@pytest.fixture
def site(places, eventually):
    """An admin's command line at a service of its own."""
    path = places.runtime / "coordinator.sock"
    line = CommandLine(places)
    line.environ["HAWSE_SERVER"] = f"unix:{path}"
    with serving(path):
        yield line
    end_parent(places, eventually)


def as_user(site, token_file, **more):
    other = CommandLine(site.places)
    other.environ = {**site.environ, "HAWSE_TOKEN_FILE": str(token_file), **more}
    return other


def test_a_user_with_a_token_works_in_a_project_until_he_is_shut_out(site, tmp_path):
    site("user", "add", "ada", "--uid", "54321", "--group", "@staff")
    site("project", "add", "ci", "--sessions", "1", "--lease", "2h", "--member", "@staff", "--policy", "on_error=end")
    token = tmp_path / "deep" / "ada.token"
    said = site.run("token", "new", "laptop", "--user", "ada", "--until", "90d", "--out", str(token))
    assert said.returncode == 0
    secret = token.read_text().strip()
    assert secret.startswith("hwt_")
    assert secret not in said.stdout + said.stderr
    assert stat.S_IMODE(token.stat().st_mode) == 0o600
    ada = as_user(site, token)
    assert ada("user", "show").startswith("you are user:ada here\n")
    ada("new", "-d", "demo", "--project", "ci", "--", "sleep", "1000")
    full = ada.run("new", "-d", "more", "--project", "ci", "--", "true")
    assert full.returncode == 75
    assert "project ci has 1 living sessions; its quota is 1" in full.stderr
    assert [one["alias"] for one in ada.json("ls", "--project", "ci")] == ["demo"]
    assert ada.json("ls", "--project", "default") == []
    shown = ada.json("show", "demo")
    assert (shown["project"], shown["owner"], shown["lease"]) == ("ci", "user:ada", "until")
    rows = {one["name"]: one["source"] for one in ada.json("policy", "show", "demo")}
    assert rows["on_error"] == "project"
    denied = ada.run("user", "ls")
    assert denied.returncode == 77
    assert "hawse user show" in denied.stderr
    gone = site("user", "rm", "ada")
    assert gone == "user ada is removed\n"
    out = ada.run("ls")
    assert out.returncode == 77
    assert secret not in out.stderr
    (left,) = site.json("ls", "--everyone")
    site("user", "add", "bob")
    assert site.json("user", "give", left["id"], "bob")["owner"] == "user:bob"
    kinds = [json.loads(line)["kind"] for line in site("audit", "--json").splitlines()]
    assert kinds[-4:] == ["user.removed", "login.failed", "user.created", "session.given"]
    assert secret not in site("audit", "--from", "1")


def test_listings_have_json_and_help_has_examples(site):
    site("user", "add", "ada")
    assert site.json("user", "ls")[0]["name"] == "ada"
    assert site.json("token", "ls", "--user", "ada") == []
    assert [one["name"] for one in site.json("project", "ls")] == ["default"]
    assert site.json("project", "show", "default")["members"] == ["everyone"]
    assert site.json("user", "show")["is_admin"] is True
    for group, verbs in {
        "user": ("add", "set", "ls", "show", "disable", "enable", "rm", "give"),
        "token": ("new", "renew", "ls", "revoke"),
        "project": ("add", "set", "ls", "show", "retire", "revive"),
    }.items():
        for verb in verbs:
            assert f"hawse {group} {verb}" in site(group, verb, "--help")
    assert "hawse audit -f" in site("audit", "--help")


def test_a_token_goes_to_stdout_alone_and_its_file_is_never_overwritten(site, tmp_path):
    site("user", "add", "ada")
    done = site.run("token", "new", "a", "--user", "ada", "--read-only")
    assert done.stdout.strip().startswith("hwt_")
    assert "hwt_" not in done.stderr
    assert "for looking only" in done.stderr
    kept = tmp_path / "kept"
    kept.write_text("mine")
    refused = site.run("token", "new", "b", "--user", "ada", "--out", str(kept))
    assert refused.returncode == 64
    assert kept.read_text() == "mine"
    assert [one["name"] for one in site.json("token", "ls", "--user", "ada")] == ["a"], "nothing was made"
    failed = tmp_path / "failed"
    assert site.run("token", "new", "a", "--user", "ada", "--out", str(failed)).returncode == 1
    assert not failed.exists(), "no empty file is left"
    renewed = site.json("token", "renew", "a", "--user", "ada")
    assert renewed["secret"] != done.stdout.strip()
    assert site("token", "revoke", "a", "--user", "ada") == "token a of user ada opens nothing any more\n"
    assert site.run("token", "revoke", "a", "--user", "ada").returncode == 1


@pytest.mark.parametrize(("words", "told"), [
    (("user", "add", "a b"), "no user's name"),
    (("user", "add", "ada", "--uid", "x"), "not a whole number"),
    (("user", "set", "ada"), "nothing to change"),
    (("user", "set", "nobody", "--admin"), "no user 'nobody'"),
    (("project", "add", "ci", "--lease", "3"), "not a duration"),
    (("project", "add", "ci", "--lease", "3h", "--lease-max", "2h"), "at most"),
    (("project", "set", "default"), "nothing to change"),
    (("project", "set", "default", "--sessions", "-1"), "--sessions"),
    (("project", "set", "default", "--no-member", "ada"), "no member"),
    (("token", "new", "x"), "no user of this site"),
    (("token", "new", "x", "--user", "nobody"), "no user 'nobody'"),
    (("audit", "--from", "0"), "--from"),
])  # fmt: skip
def test_what_is_wrong_is_told_with_the_next_step(site, words, told):
    done = site.run(*words)
    assert done.returncode in (1, 64), done
    assert told in done.stderr
    assert "\n       " in done.stderr, "a next step"
    assert done.stdout == ""


def test_names_complete(site):
    site("user", "add", "ada")
    site("project", "add", "adhoc")
    for words, wanted in ((("user", "show", "a"), "ada"), (("project", "show", "ad"), "adhoc")):
        environ = {**site.environ, "_HAWSE_COMPLETE": "bash_complete", "COMP_WORDS": f"hawse {' '.join(words)}"}
        other = CommandLine(site.places)
        other.environ = {**environ, "COMP_CWORD": "3"}
        assert wanted in other.run().stdout


def test_on_ones_own_coordinator_users_are_refused_and_projects_work(hawse):
    done = hawse.run("user", "add", "ada")
    assert done.returncode == 64
    assert "hawse serve --config FILE" in done.stderr
    hawse("project", "add", "ci", "--sessions", "1")
    hawse("new", "-d", "--keep", "a", "--project", "ci", "--", "true")
    assert hawse.run("new", "-d", "b", "--project", "ci", "--", "true").returncode == 75
    assert f"you are uid:{os.getuid()} here, an admin" in hawse("user", "show")
    assert "project.created" in hawse("audit")
