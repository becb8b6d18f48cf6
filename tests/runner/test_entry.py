"""Who comes in: tickets, proofs, silent connections, garbage; and that nobody else notices."""

import os
import socket
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hawse.wire import terminal
from hawse.wire.frame import frame


@pytest.fixture
def attempt(rig):
    return rig.spawn("sh", "-c", "echo ready; while read x; do echo got $x; done", tty=(80, 24))


def still_works(attempt):
    link = attempt.attach()
    link.type(b"ping\n")
    link.until_output(b"got ping")
    link.close()


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"expires_in": -1}, "ticket_expired"),
        ({"secret": b"x" * 32}, "ticket_forged"),
        ({"job": "another"}, "ticket_job"),
        ({"attempt": 7}, "ticket_attempt"),
    ],
)
def test_a_bad_ticket_is_refused_with_its_reason(attempt, options, code):
    link = attempt.attach(**options)
    assert link.error["code"] == code
    assert "hawse attach" in link.error["next"]
    link.until_closed()
    still_works(attempt)


def test_a_ticket_opens_once(attempt):
    text = attempt.ticket()
    assert attempt.attach(text=text).welcome
    assert attempt.attach(text=text).error["code"] == "ticket_used"


def test_used_tickets_are_remembered_in_bounds(rig):
    attempt = rig.spawn("sleep", "60", limits={"nonces_max": 3})
    for _ in range(3):
        attempt.attach("read").until(lambda: True)
        link = attempt.attach("read", expires_in=60)
        if link.half.welcome is None:
            link.read_once()
    link = attempt.attach("read")
    assert link.error["code"] == "ticket_full"


def test_a_changed_ticket_is_refused(attempt):
    text = attempt.ticket("watch")
    for at in (0, 20, len(text) - 1):
        changed = text[:at] + ("A" if text[at] != "A" else "B") + text[at + 1 :]
        assert attempt.attach(text=changed).error["code"] in ("ticket_forged", "ticket_malformed")


def test_a_ticket_of_this_attempt_opens(attempt):
    assert attempt.attach(attempt=1).welcome.mode == "control"


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        frame(terminal.INPUT, b"x"),
        frame(terminal.HELLO, b"not json"),
        frame(terminal.HELLO, b"\xff\xfe"),
        frame(terminal.HELLO, b"[" * 5000),
        frame(terminal.HELLO, b'{"protocol": 1}'),
        frame(terminal.HELLO, b'{"protocol": 99, "ticket": "x", "from": 0}'),
        frame(terminal.CONTROL, b"{}"),
        frame(terminal.PROOF, b"{}"),
        b"\xff" * 100,
        b"\x00\x00\x00\x05",
    ],
)
def test_garbage_is_answered_and_cut(rig, data):
    attempt = rig.spawn("sh", "-c", "while read x; do echo got $x; done", tty=(80, 24), limits={"entry_s": 0.3})
    sock = attempt.connect()
    sock.sendall(data)
    sock.settimeout(10)
    said = b""
    while part := sock.recv(4096):
        said += part
    assert said[4] == terminal.ERROR
    still_works(attempt)


def test_a_log_offset_beyond_the_end_is_refused(attempt):
    attempt.attach().until_output(b"ready")
    assert "beyond" in attempt.attach(start=10**9).error["detail"]


def test_a_connection_that_says_nothing_is_cut_and_told(rig):
    attempt = rig.spawn("sleep", "60", limits={"entry_s": 0.2})
    sock = attempt.connect()
    sock.settimeout(10)
    assert b'"silent"' in sock.recv(4096)
    assert sock.recv(4096) == b""


def test_a_half_open_connection_is_let_go(attempt, rig):
    link = attempt.attach()
    assert link.welcome
    control = attempt.coordinator()
    link.sock.shutdown(socket.SHUT_WR)
    assert control.report("detached")["reason"] == "lost"
    link.until_closed()


def test_a_thousand_silent_connections_bother_nobody(attempt, rig):
    silent = []
    first = attempt.attach()
    first.until_output(b"ready")
    for _ in range(1000):
        sock = socket.socket(socket.AF_UNIX)  # without a timeout: with one, a full backlog is an error at once
        rig.closers.append(sock.close)
        sock.connect(str(attempt.socket))
        silent.append(sock)
    begin = time.monotonic()
    still_works(attempt)
    assert time.monotonic() - begin < 10
    assert len(os.listdir(f"/proc/{attempt.runner_pid}/fd")) < 64 + 40
    attempt.coordinator().give(first)
    first.type(b"still here\n")
    first.until_output(b"got still here")
    for sock in silent:
        sock.close()


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(max_size=200), kind=st.integers(0, 40))
def test_any_bytes_leave_the_runner_alive(attempt, data, kind):
    for bytes_in in (data, frame(kind, data)):
        sock = attempt.connect()
        sock.sendall(bytes_in)
        sock.close()
    link = attempt.attach()
    assert link.welcome
    try:
        link.send(frame(kind, data))
    except BrokenPipeError:
        pass  # it was cut for its first bytes
    link.close()
    assert attempt.is_running


# -- the coordinator's side --------------------------------------------------------------------------------------------


def test_a_coordinator_with_another_secret_is_refused(attempt):
    control = attempt.coordinator(secret=b"y" * 32)
    with pytest.raises(Exception, match="proof does not fit"):
        control.report("state")


def test_a_wrong_proof_gives_no_report(attempt):
    sock = attempt.connect()
    sock.sendall(terminal.message(terminal.CONTROL, protocol=1, job=attempt.job, nonce="n"))
    sock.sendall(terminal.message(terminal.PROOF, proof="0" * 64))
    sock.settimeout(10)
    said = b""
    while part := sock.recv(4096):
        said += part
    assert b'"proof does not fit' in said or b"the proof does not fit" in said
    assert b'"kind"' not in said


def test_the_state_is_the_first_report_and_a_newer_coordinator_replaces(attempt):
    attempt.attach(attachment="here").until_output(b"ready")
    first = attempt.coordinator()
    state = first.report("state")
    assert state["phase"] == "running"
    assert state["pid"] == attempt.process["pid"]
    assert [one["attachment"] for one in state["attachments"]] == ["here"]
    assert first.events[1][1]["kind"] == "state"
    second = attempt.coordinator(nonce="n2")
    assert second.report("state")["log"]["state"] == "ok"
    first.until(lambda: [value for name, value in first.events if name == "error" and value["code"] == "replaced"])


@pytest.mark.requirement("S0.3")
def test_reports_are_kept_until_they_are_acknowledged(attempt):
    first = attempt.coordinator()
    link = attempt.attach(attachment="one")
    assert link.welcome
    assert first.report("attached")["attachment"] == "one"
    first.close()
    link.close()
    second = attempt.coordinator(nonce="n2")
    assert second.report("detached")["reason"] == "lost"
    assert [value["attachment"] for value in second.reports("attached")] == ["one"], "said again"
    numbers = [value["seq"] for name, value in second.events if name == "report"]
    assert numbers == sorted(set(numbers))
    second.acknowledge_all()
    assert not second.command("signal", signal="NOSUCH")["ok"]  # an answer: the acknowledgement was read
    second.close()
    third = attempt.coordinator(nonce="n3")
    third.report("state")
    assert third.command("signal", signal="CONT")["ok"]
    assert third.reports("attached") == []


def test_a_state_that_nobody_acknowledged_is_not_said_again(attempt):
    """A coordinator that dies as soon as it hears: the next one is told what is, not what was; and nothing grows."""
    link = attempt.attach(attachment="one")
    link.until_output(b"ready")
    for number in range(5):
        control = attempt.coordinator(nonce=f"n{number}")
        assert control.report("state")["attachments"]
        control.close()
    link.close()
    last = attempt.coordinator(nonce="last")
    assert last.report("detached")["attachment"] == "one"
    assert last.command("signal", signal="CONT")["ok"]
    kinds = [value["kind"] for name, value in last.events if name == "report"]
    assert kinds[0] == "state"
    assert kinds.count("state") == 1


def test_too_many_reports_become_one_state(rig):
    attempt = rig.spawn("sh", "-c", "read x", tty=(80, 24), limits={"reports_max": 5})
    for _ in range(10):
        link = attempt.attach("watch")
        assert link.welcome
        link.close()
    control = attempt.coordinator()
    assert control.report("state")
    assert control.command("signal", signal="CONT")["ok"]
    assert len([1 for name, _ in control.events if name == "report"]) <= 6


def test_unknown_commands_are_answered(attempt):
    control = attempt.coordinator()
    answer = control.command("dance")
    assert (answer["ok"], answer["code"]) == (False, "malformed")
    assert not control.command("stop", grace_s=-1)["ok"]
    assert not control.command("stop", grace_s="soon")["ok"]
    assert control.command("detach", attachment="nobody")["was_attached"] is False
