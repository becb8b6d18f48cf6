"""Control of a job: whose bytes, signals and sizes reach it, as the runner alone decides. Hand-written clients."""

import os
import signal

import pytest

from hawse.runner.token import Token
from hawse.wire import terminal


@pytest.fixture(params=["python", "compiled"])
def attempt(request, bare_rig, monkeypatch):
    """A job that tells what it reads, under each engine: the compiled one types without any Python."""
    if request.param == "compiled":
        pytest.importorskip("hawse._core", reason="the compiled core was not built")
    monkeypatch.setenv("HAWSE_ENGINE", request.param)
    bare_rig.start_parent()
    return bare_rig.spawn("sh", "-c", "echo ready; while read x; do echo got $x; stty size; done", tty=(80, 24))


def says(link, kind):
    link.until(lambda: link.notices(kind))
    return link.notices(kind)


@pytest.mark.requirement("S5.4", "S8.5")
def test_only_the_holder_s_bytes_reach_the_job(attempt):
    coordinator = attempt.coordinator()
    first, second = attempt.attach(columns=80, rows=24), attempt.attach(columns=60, rows=20, fence=0)
    assert (first.welcome.holds, second.welcome.holds) == (True, False)
    assert second.welcome.who == first.welcome.who != ""
    for number in range(20):
        second.type(b"evil%d\n" % number)
    assert len(says(second, "no_control")) == 1, "told once"
    assert first.welcome.attachment in says(second, "no_control")[0]["who"]
    first.type(b"good\n")
    first.until_output(b"24 80")
    assert coordinator.give(second, who="ada", message="ada took control")["changed"]
    assert says(first, "control")[0] == {"kind": "control", "detail": "ada took control", "holds": 0, "who": "ada"}
    assert says(second, "control")[0]["holds"] == 1
    first.type(b"late\n")
    says(first, "no_control")
    second.type(b"now\n")
    second.until_output(b"got now")
    second.until_output(b"20 60")
    assert b"evil" not in second.output
    assert b"late" not in second.output


@pytest.mark.requirement("S5.4", "S8.5")
def test_signals_sizes_and_the_end_of_input_are_the_holder_s_too(attempt):
    coordinator = attempt.coordinator()
    first, second = attempt.attach(columns=80, rows=24), attempt.attach(fence=0)
    second.send(terminal.message(terminal.SIGNAL, signal="KILL"))
    says(second, "no_control")
    second.send(terminal.frame(terminal.INPUT_END))
    second.send(terminal.resize(200, 50))
    second.send(terminal.ping(7))
    second.until(lambda: second.of(terminal.PONG))
    first.type(b"alive\n")
    first.until_output(b"24 80")
    coordinator.give(second)
    second.send(terminal.frame(terminal.INPUT_END))
    assert first.outcome == {"kind": "exited", "code": 0}


@pytest.mark.requirement("S8.5")
def test_an_old_word_about_control_changes_nothing(attempt):
    coordinator = attempt.coordinator()
    first = attempt.attach(fence=100)
    second = attempt.attach(fence=0)
    for fence in (99, 100):
        told = coordinator.give(second, fence=fence)
        assert (told["ok"], told["changed"], told["fence"]) == (True, False, 100)
    assert coordinator.give(second, fence=101)["changed"]
    again = attempt.attach(attachment=first.welcome.attachment, fence=100)
    assert not again.welcome.holds, "its ticket is from before"
    again.type(b"evil\n")
    says(again, "no_control")
    second.type(b"good\n")
    second.until_output(b"got good")
    assert b"evil" not in second.output
    newer = attempt.coordinator(nonce="n2")
    newer.report("state")
    told = newer.reports("state")[0]["control"]  # what it had not acknowledged comes again behind it
    assert told == {"attachment": second.welcome.attachment, "fence": 101}


@pytest.mark.requirement("S8.3", "S8.5")
def test_a_hand_written_client_gets_no_byte_in(attempt):
    """With a watcher's ticket, whatever fence it claims; with a ticket that was used; with one that was altered."""
    coordinator = attempt.coordinator()
    holder = attempt.attach(fence=10)
    watcher = attempt.attach("watch", fence=11)
    assert not watcher.welcome.holds
    watcher.type(b"evil\n")
    says(watcher, "read_only")
    coordinator.give(holder, fence=12)
    used = attempt.ticket("control", fence=13)
    assert attempt.attach(text=used).welcome.holds
    assert attempt.attach(text=used).error["code"] == "ticket_used"
    altered = attempt.ticket("control", fence=14)
    _, _, seal = altered.partition(".")
    assert attempt.attach(text=f"{attempt.ticket(fence=15).partition('.')[0]}.{seal}").error["code"] == "ticket_forged"
    coordinator.give(holder, fence=16)
    holder.type(b"good\n")
    holder.until_output(b"got good")
    assert b"evil" not in holder.output


def test_a_holder_keeps_control_while_its_link_is_away(attempt):
    holder = attempt.attach(attachment="h", fence=5)
    other = attempt.attach(fence=0)
    assert holder.welcome.holds
    holder.close()
    coordinator = attempt.coordinator()
    coordinator.until(lambda: any(one["attachment"] == "h" for one in coordinator.reports("detached")))
    other.type(b"evil\n")
    says(other, "no_control")
    back = attempt.attach(attachment="h", fence=5)
    back.type(b"back\n")
    back.until_output(b"got back")
    assert b"evil" not in back.output


@pytest.mark.requirement("S5.3")
def test_who_lost_control_by_a_ticket_is_told_when_it_is_known_how(attempt):
    """The newcomer's ticket is faster than the word to the runner; who was cut meanwhile hears of that alone."""
    coordinator = attempt.coordinator()
    first, stolen = attempt.attach(attachment="a", fence=5), attempt.attach(attachment="s", fence=6)
    assert stolen.welcome.holds
    assert coordinator.command("detach", attachment="a", reason="stolen", message="ada took your place")["ok"]
    first.until_closed()
    assert first.of(terminal.DETACH)[0][1:] == ("stolen", "ada took your place")
    assert first.notices("control") == []
    third = attempt.attach(attachment="t", fence=7)
    assert third.welcome.holds
    stolen.type(b"late\n")
    says(stolen, "no_control")
    told = coordinator.give(third, fence=7, message="bob took control")
    assert not told["changed"], "its ticket said so"
    assert says(stolen, "control")[0]["detail"] == "bob took control"
    third.type(b"now\n")
    third.until_output(b"got now")
    assert third.notices("control") == []
    assert b"late" not in third.output


def test_a_new_attempt_begins_with_what_was_known(bare_rig):
    """A ticket of before must not give control that was lost since then."""
    bare_rig.start_parent()
    attempt = bare_rig.spawn("cat", tty=(80, 24), control={"attachment": "b", "fence": 6})
    assert not attempt.attach(attachment="a", fence=5).welcome.holds
    assert attempt.attach(attachment="b", fence=6).welcome.holds


def test_the_replaced_link_of_the_holder_types_no_more(attempt):
    old = attempt.attach(attachment="h", fence=5)
    assert old.welcome.holds
    new = attempt.attach(attachment="h", fence=5)
    assert new.welcome.holds
    old.until_closed()
    new.type(b"x\n")
    new.until_output(b"got x")


@pytest.mark.requirement("S5.5", "L4.16")
def test_it_knows_when_each_was_last_active(attempt, eventually):
    coordinator = attempt.coordinator()

    def quiet():
        return {one["attachment"]: one for one in coordinator.command("activity")["attachments"]}

    typist, watcher = attempt.attach(attachment="t"), attempt.attach("watch", attachment="w")
    typist.until_output(b"ready")
    watcher.until_output(b"ready")
    assert [quiet()[id]["typed_s"] for id in ("t", "w")] == [None, None]
    eventually(lambda: min(quiet()[id]["active_s"] for id in ("t", "w")) > 0.3)
    typist.type(b"a\n")
    typist.until_output(b"got a")
    watcher.until_output(b"got a")
    told = quiet()
    assert told["t"]["typed_s"] < 0.3
    assert told["w"]["typed_s"] is None
    assert told["w"]["active_s"] < 0.3, "what is printed and taken is activity"
    eventually(lambda: quiet()["t"]["typed_s"] > 0.3)
    typist.type(b"b\n")
    typist.until_output(b"got b")  # the watcher reads nothing now
    assert quiet()["w"]["active_s"] > 0.3, "what its client did not take is none"
    watcher.until_output(b"got b")
    assert quiet()["w"]["active_s"] < 5
    watcher.type(b"in vain")
    says(watcher, "read_only")
    typist.close()
    eventually(lambda: set(quiet()) == {"w"})
    coordinator.until(lambda: coordinator.reports("detached"))
    assert 0 <= coordinator.reports("detached")[0]["typed_s"] < 20


def test_one_that_is_stopped_and_flooded_is_not_active(attempt, eventually):
    """Its socket's buffers take some, then nothing more goes."""
    holder = attempt.attach(attachment="h")
    deaf = attempt.attach("watch", attachment="w")
    deaf.until_output(b"ready")
    coordinator = attempt.coordinator()
    line = b"x" * 1000
    for _ in range(600):
        holder.type(line + b"\n")
        holder.until_output(b"got " + line)
        holder.output.clear()

    def quiet():
        return {one["attachment"]: one["active_s"] for one in coordinator.command("activity")["attachments"]}

    quiet()
    eventually(lambda: quiet()["w"] > 0.3)
    assert quiet()["h"] < quiet()["w"]


def test_bad_commands_are_refused(attempt):
    coordinator = attempt.coordinator()
    attempt.attach(fence=9)
    for values in ({"fence": 0}, {"fence": -1}, {"fence": "x"}, {"fence": 10, "attachment": "x" * 500}):
        answer = coordinator.command("control", **{"attachment": "a", **values})
        assert (answer["ok"], answer["code"]) == (False, "malformed")
    os.kill(attempt.runner_pid, signal.SIGHUP)  # it lives
    assert coordinator.command("activity")["ok"]


def test_the_token_is_moved_by_newer_fences_only():
    token = Token()
    assert token.words == "nobody has control"
    assert token.change("a", 3, "ada")
    assert not token.change("b", 3, "bob")
    assert not token.change("b", 1, "bob")
    assert (token.holder, token.fence, token.words) == ("a", 3, "ada has control")
    assert token.change("", 4, "")
    assert token.words == "nobody has control"
