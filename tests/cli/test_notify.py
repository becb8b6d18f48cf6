"""`hawse notify` against a real coordinator, a real receiver, real commands."""

import json
import stat
import subprocess

import pytest
from tests.receiver import receiver

pytestmark = pytest.mark.xdist_group("cli")
KEY = "whsec_" + "QUJD" * 11 + "QUI="


@pytest.mark.requirement("S2.7")
def test_a_webhook_from_add_to_rm(hawse):
    with receiver() as post:
        told = hawse("notify", "add", "webhook", post.url, "--name", "desk", "--kind", "job_failed")
        assert told.startswith("channel desk is on\nsigning key: whsec_")
        secret = told.split()[-1]
        assert hawse("notify", "test", "desk") == "sent over desk\n"
        assert post.kinds == ["test"]
        assert "webhook-signature" in post.headers[0]
        hawse("new", "-d", "a", "--", "sh", "-c", "exit 4")
        post.until(lambda got: len(got) == 2)
        assert post.got[1]["command"] == "hawse logs a/sh"
        log = hawse("notify", "log")
        assert "a/sh failed: exit code 4" in log
        assert max(map(len, log.splitlines())) <= 100
        listed = hawse("notify", "ls")
        assert "desk" in listed
        assert "job_failed" in listed
        assert post.url in listed
        for output in (listed, hawse("notify", "show", "desk"), json.dumps(hawse.json("notify", "ls"))):
            assert secret not in output
        assert secret not in (hawse.places.state / "coordinator.log").read_text()
        assert hawse("notify", "off", "desk") == "channel desk is off\n"
        done = hawse.run("notify", "test", "desk")
        assert (done.returncode, "hawse notify on desk" in done.stderr) == (1, True)
        assert hawse("notify", "on", "desk") == "channel desk is on\n"
        assert hawse("notify", "set", "desk", "--rename", "hall", "--kind", "job_lost", "--session", "a*") == (
            "channel hall tells job_lost of a*\n"
        )
        assert hawse("notify", "rm", "hall") == "channel hall is gone\n"
        assert hawse.json("notify", "ls") == []


def test_what_fails_is_shown_and_sent_again(hawse):
    with receiver() as post:
        post.answer = lambda told: 410
        hawse("notify", "add", "webhook", post.url)
        done = hawse.run("notify", "test", "webhook")
        assert done.returncode == 1
        assert done.stdout == "not sent over webhook: it answered 410: it wants no more notices\n"
        failed = hawse.run("notify", "log", "--failed")
        (notice,) = hawse.json("notify", "log", "--failed")
        assert notice["id"] in failed.stdout
        assert f"hawse notify send-again {notice['id']}" in failed.stderr
        assert "1 " in hawse("notify", "ls")
        post.answer = lambda told: 204
        assert hawse("notify", "send-again", notice["id"]) == "sent over webhook\n"
        assert post.ids == [notice["id"]] * 2
        assert hawse.run("notify", "send-again", notice["id"]).returncode == 1
        assert hawse.run("notify", "log", "--failed").stderr == "nothing was told in vain\n"


def test_a_test_that_is_put_off_says_when_it_is_tried_again(hawse):
    with receiver() as post:
        post.answer = lambda told: 500
        hawse("notify", "add", "webhook", post.url)
        done = hawse.run("notify", "test", "webhook")
        assert (done.returncode, done.stdout) == (1, "not sent over webhook: it answered 500\n")
        assert "it is tried again at" in done.stderr
        assert hawse("notify", "test", "webhook", "--no-wait").startswith("notice ")


def test_a_command_of_one_s_own(hawse, tmp_path, eventually):
    script = 'printf "%s|%s|%s\\n" "$HAWSE_NOTICE_KIND" "$HAWSE_NOTICE_SUBJECT" "$HAWSE_NOTICE_COMMAND" >> "$0"'
    out = tmp_path / "told"
    hawse("notify", "add", "command", "--name", "mine", "--kind", "session_ended", "--", "sh", "-c", script, str(out))
    assert hawse("notify", "test", "mine") == "sent over mine\n"
    id = hawse("new", "-d", "a", "--", "true").split()[1]
    lines = eventually(lambda: found if len(found := out.read_text().splitlines()) == 2 else None)
    assert lines == [
        "test|test of channel mine|hawse notify log",
        f"session_ended|a has ended: its last job ended|hawse show {id}",
    ]
    shown = hawse("notify", "show", "mine")
    assert "sh, -c, " in shown


def test_secrets_come_from_files_or_standard_input_and_are_kept_from_everything(hawse, tmp_path):
    path = tmp_path / "key"
    path.write_text(KEY + "\n")
    path.chmod(stat.S_IRUSR)
    told = hawse("notify", "add", "webhook", "http://127.0.0.1:9/", "--secret-file", str(path))
    assert "whsec_" not in told, "it is known already"
    hawse("notify", "set", "webhook", "--secret-file", "-", input=KEY)
    done = hawse.run("notify", "set", "webhook", "--secret-file", "-", input="hunter2")
    assert done.returncode == 64
    assert "hunter2" not in done.stderr
    missing = hawse.run("notify", "add", "webhook", "http://127.0.0.1:9/", "--secret-file", "/no/such")
    assert (missing.returncode, "cannot be read" in missing.stderr) == (64, True)
    hawse("notify", "add", "mail", "you@example.org", "--host", "localhost", "--login", "me", "--password-from", "-",
          input="hunter2")  # fmt: skip
    assert "hunter2" not in hawse("notify", "show", "mail") + json.dumps(hawse.json("notify", "show", "mail"))
    assert "hunter2" not in (hawse.places.state / "coordinator.log").read_text()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["add", "webhook", "ftp://x"], "no http"), (["add", "webhook", "http://u:p@x/"], "holds a user"),
        (["add", "mail", "x", "--host", "y"], "no mail address"), (["add", "mail", "a@b"], "--host"),
        (["add", "command"], "COMMAND"), (["add", "webhook", "http://x/", "--kind", "moon"], "moon"),
        (["show", "nobody"], "no channel 'nobody'"), (["set", "nobody"], "nothing to change"),
        (["log", "--failed", "--waiting"], "failed and waiting"), (["send-again", "x"], "no notice 'x'"),
        (["frob"], "frob"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_with_the_next_step(hawse, words, said):
    done = hawse.run("notify", *words)
    assert done.returncode in (1, 64)
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert "hunter" not in done.stderr


def test_names_near_are_offered_and_completed(hawse):
    hawse("notify", "add", "webhook", "http://127.0.0.1:9/", "--name", "desk")
    assert "did you mean" in hawse.run("notify", "show", "dsk").stderr
    asked = {"_HAWSE_COMPLETE": "bash_complete", "COMP_WORDS": "hawse notify show d", "COMP_CWORD": "3"}
    done = subprocess.run(hawse.program, env=hawse.environ | asked, capture_output=True, text=True, timeout=60)
    assert done.stdout == "plain,desk\n"


def test_kinds_are_listed_as_the_coordinator_knows_them(hawse):
    from hawse.cli.commands.notify import DISPLAY_VARIABLES, KINDS, TELLS
    from hawse.domain import channel, notice

    assert tuple(kind for kind in notice.Kind if kind != "test") == KINDS
    assert DISPLAY_VARIABLES == channel.DISPLAY_VARIABLES
    assert TELLS.keys() == set(KINDS)
    assert "job_waits" in hawse("notify", "kinds")
