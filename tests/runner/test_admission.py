"""Who gets in and whose bytes get to the job: by hand-written clients, against a real runner and a real terminal."""

import os

import pytest
from tests.other_users import STRANGERS, connected_as, opened
from tests.runner.conftest import Link

from hawse.runner.admission import CUT_S, Admission, Refusals
from hawse.wire import terminal
from hawse.wire.errors import TicketRefused
from hawse.wire.frame import frame
from hawse.wire.ticket import Ticket, seal

SECRET, NOW = b"s" * 32, 1000.0
# Shows each byte that reached the terminal, each change of its size and each signal.
WITNESS = """
import os, signal, sys, termios, tty
for number in range(1, 32):
    if number not in (signal.SIGKILL, signal.SIGSTOP, signal.SIGCHLD):
        signal.signal(number, lambda number, _: os.write(1, b"<signal %d>" % number))
tty.setraw(0)
os.write(1, b"<ready>")
while True:
    data = os.read(0, 4096)
    os.write(1, b"<got %s>" % data.hex().encode())
    if not data:
        break
"""


def sealed(attachment="a", *, mode="control", nonce="n", job="j", attempt=0, expires=NOW + 60):
    return seal(
        Ticket(job=job, attempt=attempt, attachment=attachment, mode=mode, expires=int(expires), nonce=nonce), SECRET
    )


def admission(**limits):
    return Admission(job="j", attempt=1, secret=SECRET, **{"nonces_max": 10, "cuts_max": 10, **limits})


def refused(door, text, now=NOW):
    with pytest.raises(TicketRefused) as caught:
        door.admit(text, now=now)
    return caught.value.reason, caught.value.attachment


@pytest.mark.requirement("S7.2")
def test_one_ticket_one_entry():
    door = admission()
    assert door.admit(sealed(), now=NOW).attachment == "a"
    assert refused(door, sealed()) == ("used", "a")
    assert refused(door, sealed(nonce="m", expires=NOW)) == ("expired", "a")
    assert refused(door, sealed(nonce="m", job="other")) == ("job", "")
    assert refused(door, sealed(nonce="m", attempt=2)) == ("attempt", "a")
    assert refused(door, sealed(nonce="m")[:-2] + "AA")[0] in ("forged", "malformed")


@pytest.mark.requirement("S7.2", "S6.2")
def test_what_was_cut_does_not_come_back_with_any_ticket():
    door = admission()
    door.cut("a", now=NOW)
    assert refused(door, sealed(nonce="m")) == ("cut", "a")
    assert refused(door, sealed(nonce="m", expires=NOW + CUT_S), now=NOW + CUT_S - 1) == ("cut", "a")
    assert door.admit(sealed("b", nonce="m"), now=NOW).attachment == "b"
    for number in range(100):
        door.cut(f"c{number}", now=NOW)
    assert len(door._cut) == 10
    assert refused(door, sealed("c99", nonce="k")) == ("cut", "c99")


def test_the_same_refusal_is_told_once_in_a_while_with_its_count():
    refusals = Refusals(window_s=60, count_max=3)
    assert [refusals.count("used", "a", 7, now=now) for now in (0, 1, 59, 60, 61)] == [1, 0, 0, 3, 0]
    assert refusals.count("used", "b", 7, now=0) == 1
    for number in range(100):
        refusals.count("forged", "", number, now=100)
    assert len(refusals._known) == 3


@pytest.fixture
def witness(rig):
    import sys

    made = rig.spawn(sys.executable, "-c", WITNESS, tty=(80, 24))
    control = made.coordinator()
    made.control = control
    owner = made.attach("control", start=0, columns=80, rows=24)
    owner.until_output(b"<ready>")
    made.owner = owner
    return made


HOSTILE = [
    terminal.input_frames(b"rm -rf /\r"),
    terminal.input_frames(b"x" * 200_000),
    terminal.resize(10, 10),
    terminal.message(terminal.SIGNAL, signal="INT"),
    frame(terminal.INPUT_END, b""),
    frame(terminal.INPUT, b"\x04") * 50,
]


@pytest.mark.requirement("S8.3", "S8.4")
@pytest.mark.parametrize("mode", ["watch", "read"])
def test_an_observers_hand_written_client_gets_no_byte_into_the_terminal(witness, mode):
    observer = witness.attach(mode, columns=20, rows=5)
    assert observer.welcome.mode == mode
    for data in HOSTILE:
        observer.send(data)
        observer.send(data[:3])  # in two parts: not the short way
        observer.send(data[3:])
    observer.send(terminal.ping(7))
    observer.until(lambda: observer.of(terminal.PONG))
    witness.owner.type(b"K")
    witness.owner.until_output(b"<got 4b>")
    assert witness.owner.output == b"<ready><got 4b>", "and no size, no signal, no end"
    assert len(observer.notices("read_only")) == 1
    report = witness.control.report("refused")
    assert (report["reason"], report["uid"]) == ("read_only", os.getuid())
    assert report["attachment"] == observer.welcome.attachment


@pytest.mark.requirement("S7.2")
@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"expires_in": -1}, "ticket_expired"),
        ({"secret": b"x" * 32}, "ticket_forged"),
        ({"job": "another"}, "ticket_job"),
        ({"attempt": 9}, "ticket_attempt"),
    ],
)
def test_a_bad_ticket_is_refused_and_reported(witness, options, code):
    assert witness.attach(**options).error["code"] == code
    assert witness.control.report("refused")["reason"] == code


@pytest.mark.requirement("S7.2")
def test_a_ticket_is_good_once_and_a_second_show_is_reported(witness):
    text = witness.ticket("control", attachment="a1")
    first = witness.attach(text=text)
    assert first.welcome.attachment == "a1"
    assert witness.attach(text=text).error["code"] == "ticket_used"
    report = witness.control.report("refused")
    assert (report["reason"], report["attachment"]) == ("ticket_used", "a1")
    first.type(b"A")
    witness.owner.until_output(b"<got 41>")


@pytest.mark.requirement("S7.2", "S8.3")
def test_who_is_cut_types_no_more_and_his_unused_tickets_are_worthless(witness):
    unused = witness.ticket("control", attachment="a1")
    guest = witness.attach("control", attachment="a1", columns=80, rows=24)
    guest.type(b"A")
    witness.owner.until_output(b"<got 41>")
    assert witness.control.command("detach", attachment="a1", reason="revoked")["was_attached"]
    for _ in range(20):  # whatever is on its way
        try:
            guest.type(b"B")
        except OSError:
            break
    guest.until_closed()
    assert guest.of(terminal.DETACH)[0][1] == "revoked"
    assert witness.attach(text=unused).error["code"] == "ticket_cut"
    assert not witness.control.command("detach", attachment="never", reason="revoked")["was_attached"]
    assert witness.attach("control", attachment="never").error["code"] == "ticket_cut"
    witness.control.give(witness.owner)
    witness.owner.type(b"K")
    witness.owner.until_output(b"<got 4b>")
    assert b"42" not in witness.owner.output


@pytest.mark.requirement("S7.2")
def test_a_stolen_ticket_of_another_job_opens_nothing(rig, witness):
    other = rig.spawn("/bin/cat", tty=(80, 24))
    assert witness.attach(text=other.ticket("control")).error["code"] == "ticket_forged"


@pytest.mark.requirement("S6.1", "S8.2")
def test_another_user_enters_by_ticket_where_the_site_opens_the_socket(witness):
    """The file system says who can connect, the ticket who gets in."""
    with pytest.raises(ConnectionError):
        connected_as(STRANGERS[0], str(witness.socket))
    opened(witness.socket, witness.socket.parent, witness.socket.parent.parent)
    for mode in ("watch", "control"):
        link = Link(connected_as(STRANGERS[0], str(witness.socket)))
        link.send(link.half.hello(ticket=witness.ticket(mode), start=0, columns=80, rows=24))
        assert link.welcome.mode == mode
        link.type(mode[:1].encode())
        if mode == "control":
            witness.owner.until_output(b"<got 63>")
        else:
            assert witness.control.report("refused")["uid"] == STRANGERS[0]
        link.close()
    link = Link(connected_as(STRANGERS[0], str(witness.socket)))
    link.send(link.half.hello(ticket="x.y", start=0))
    assert link.error["code"] == "ticket_malformed"
    link.close()
    assert b"<got 77>" not in witness.owner.output
