"""Attached clients: rights by mode, sizes, pace, slow readers, bursts, detaching."""

import os
import select
import time

import pytest

from hawse.wire import terminal

FLOOD = "while :; do echo 0123456789012345678901234567890123456789012345678901234567890123456789; done"


@pytest.fixture
def attempt(rig):
    return rig.spawn("sh", "-c", "echo ready; while read x; do echo got $x; stty size; done", tty=(80, 24))


def resident_kib(pid):
    with open(f"/proc/{pid}/statm") as file:
        return int(file.read().split()[1]) * 4


@pytest.mark.parametrize("mode", ["watch", "read"])
def test_a_watcher_s_bytes_never_reach_the_job(attempt, mode):
    watcher, controller = attempt.attach(mode), attempt.attach("control")
    watcher.until_output(b"ready")
    watcher.type(b"evil\n")
    watcher.send(terminal.resize(200, 50))
    watcher.send(terminal.message(terminal.SIGNAL, signal="KILL"))
    watcher.send(terminal.frame(terminal.INPUT_END))
    watcher.until(lambda: watcher.notices("read_only"))
    controller.type(b"good\n")
    controller.until_output(b"24 80")
    assert b"evil" not in controller.output
    assert len(watcher.notices("read_only")) == 1, "told once"


def test_two_controllers_share_one_input(attempt):
    one, two = attempt.attach(), attempt.attach()
    one.type(b"first\n")
    two.until_output(b"got first")
    two.type(b"second\n")
    one.until_output(b"got second")


@pytest.mark.parametrize(
    ("printed", "is_wiped"),
    [
        (r"\033[?1049h", True),
        (r"\033[?1h\033=\033[?25l", True),
        ("lines of a shell", False),
        (r"\033[?1049h\033[?6h", False),
        (r"\033[?1049h\033[3", False),
    ],
)
def test_larger_terminals_are_wiped_where_the_window_ends_now(rig, printed, is_wiped):
    """Only for programs that fill the screen, and never in the middle of a sequence."""
    attempt = rig.spawn("sh", "-c", f"printf 'ready{printed}'; while read x; do echo got $x; done", tty=(80, 24))
    large, watcher = attempt.attach(columns=100, rows=30), attempt.attach("watch", columns=90, rows=12)
    large.until_output(b"ready")
    watcher.until_output(b"ready")
    small = attempt.attach(columns=80, rows=15)
    small.type(b"x\n")
    large.until_output(b"got x")
    watcher.until_output(b"got x")
    columns = b"".join(b"\x1b[%d;81H\x1b[K" % row for row in range(1, 16))
    wiped = b"\x1b7\x1b[m" + columns + b"\x1b[16;1H\x1b[J\x1b8"
    assert large.of(terminal.RESTORE) == ([(terminal.RESTORE, wiped)] if is_wiped else [])
    columns = b"".join(b"\x1b[%d;81H\x1b[K" % row for row in range(1, 13))
    wiped = b"\x1b7\x1b[m" + columns + b"\x1b8"
    assert watcher.of(terminal.RESTORE) == ([(terminal.RESTORE, wiped)] if is_wiped else [])
    large.type(b"y\n")
    large.until_output(b"got y")
    assert len(large.of(terminal.RESTORE)) == is_wiped, "a window that grows wipes nothing"


def test_the_window_size_is_the_one_of_who_was_active_last(attempt, rig):
    small, large = attempt.attach(columns=60, rows=20), attempt.attach(columns=120, rows=40)
    assert (large.welcome.columns, large.welcome.rows) == (120, 40)
    large.type(b"a\n")
    large.until_output(b"40 120")
    small.type(b"b\n")
    small.until_output(b"20 60")
    large.send(terminal.resize(100, 30))
    large.type(b"c\n")
    large.until_output(b"30 100")
    large.close()
    small.until_output(b"got c")
    small.type(b"d\n")
    small.until(lambda: bytes(small.output).count(b"20 60") == 2)


def test_a_size_of_zero_changes_nothing(attempt):
    link = attempt.attach(columns=0, rows=0)
    link.send(terminal.resize(0, 50))
    link.type(b"a\n")
    link.until_output(b"24 80")


def test_a_watcher_has_no_say_in_the_size(attempt):
    controller = attempt.attach(columns=90, rows=30)
    assert controller.welcome.columns == 90
    assert attempt.attach("watch", columns=10, rows=5).welcome.columns == 90


def test_a_signal_reaches_the_foreground(rig):
    attempt = rig.spawn("bash", "--norc", "-i", tty=(80, 24), env={"PS1": "ready> "})
    link = attempt.attach()
    link.until_output(b"ready>")
    link.type(b"sleep 600 || echo interrupted\n")
    rig.eventually(lambda: _foreground(attempt) != attempt.process["pid"])
    link.send(terminal.message(terminal.SIGNAL, signal="TERM"))
    link.until_output(b"interrupted\r\n")


def _foreground(attempt):
    with open(f"/proc/{attempt.process['pid']}/stat") as file:
        return int(file.read().rpartition(")")[2].split()[5])


def test_asking_to_detach_is_reported_as_asked(attempt):
    control = attempt.coordinator()
    link = attempt.attach(attachment="me")
    assert link.welcome
    link.send(terminal.detach("asked"))
    link.until_closed()
    report = control.report("detached")
    assert (report["attachment"], report["reason"]) == ("me", "asked")


def test_the_coordinator_detaches_and_the_client_is_told_why(attempt):
    control = attempt.coordinator()
    link = attempt.attach(attachment="me")
    link.until_output(b"ready")
    assert control.command("detach", attachment="me", reason="stolen", message="by Ann")["was_attached"]
    link.until_closed()
    assert link.of(terminal.DETACH) == [(terminal.DETACH, "stolen", "by Ann")]
    assert control.report("detached")["reason"] == "stolen"


def test_an_attachment_that_links_again_replaces_its_old_link(attempt):
    control = attempt.coordinator()
    old = attempt.attach(attachment="me")
    old.until_output(b"ready")
    new = attempt.attach(attachment="me")
    new.until_output(b"ready")
    old.until_closed()
    assert old.of(terminal.DETACH)[0][1] == "replaced"
    new.type(b"x\n")
    new.until_output(b"got x")
    assert control.reports("detached") == []


def test_ping_is_answered(attempt):
    link = attempt.attach("read")
    link.send(terminal.ping(77))
    link.until(lambda: (terminal.PONG, 77) in link.events)


def test_a_long_paste_into_a_job_that_does_not_read_waits_and_arrives(rig):
    attempt = rig.spawn(
        "sh", "-c", "stty raw -echo; echo ready; sleep 0.5; head -c 300000 | md5sum; echo done", tty=(80, 24)
    )
    link = attempt.attach()
    link.until_output(b"ready")
    data = os.urandom(300_000)
    link.type(data)
    link.until_output(b"done")
    import hashlib

    assert hashlib.md5(data).hexdigest().encode() in link.output


@pytest.mark.requirement("S3.3")
def test_a_reader_that_stalls_costs_no_memory_and_misses_nothing(rig):
    attempt = rig.spawn("sh", "-c", "seq 1 3000000", limits={"drain_clients_s": 60})
    link = attempt.attach("read")
    assert link.welcome
    before = resident_kib(attempt.runner_pid)
    rig.eventually(lambda: attempt.record(), 60, what="the job's end: a reader does not hold it")
    assert resident_kib(attempt.runner_pid) - before < 6 * 1024
    link.until(lambda: link.of(terminal.EXIT), 60)
    assert bytes(link.output) == b"".join(b"%d\n" % number for number in range(1, 3_000_001))


def test_a_stalled_controller_paces_only_for_a_while(rig):
    attempt = rig.spawn("sh", "-c", "seq 1 1000000; exit 4", tty=(80, 24), limits={"pace_s": 0.2, "drain_clients_s": 1})
    link = attempt.attach("control")
    assert link.welcome
    assert attempt.ended(60)["outcome"] == {"kind": "exited", "code": 4}


def test_a_controller_that_read_a_little_and_then_stalls_paces_only_for_a_while(rig):
    """Its last progress came just before the pause was over: nothing that it does will end the pause."""
    pace_s = 0.5
    attempt = rig.spawn("sh", "-c", FLOOD, tty=(80, 24), limits={"pace_s": pace_s})
    link = attempt.attach("control")
    assert link.welcome

    def end():
        return sum(os.path.getsize(path) for path in attempt.job_dir.glob("log/*.seg"))

    reads_on = time.monotonic() + 3 * pace_s
    while time.monotonic() < reads_on:  # slowly, so that it stays far behind
        link.read_once(0.1, size=4096)
        select.select([], [], [], pace_s / 20)
    before = end()
    rig.eventually(lambda: end() > before + 4 * 1024 * 1024, what="the job goes on without who reads no more")


def test_a_controller_that_reads_a_little_and_then_stalls_paces_only_for_a_while(rig):
    """It comes back far behind, reads for longer than one pause, then nothing: no move of its own ends the pause."""
    pace_s = 0.4
    attempt = rig.spawn("sh", "-c", FLOOD, tty=(80, 24), limits={"pace_s": pace_s})

    def end():
        return sum(os.path.getsize(path) for path in attempt.job_dir.glob("log/*.seg"))

    rig.eventually(lambda: end() > 6 * 1024 * 1024, what="output")
    link = attempt.attach("control", start=0)
    assert link.welcome
    reads_until = time.monotonic() + 3 * pace_s
    while time.monotonic() < reads_until:
        link.read_once(size=65536)
        select.select([], [], [], pace_s / 16)
    assert end() - len(link.output) > 2 * 1024 * 1024, "it is still far behind"
    before = end()
    rig.eventually(lambda: end() > before + 1024 * 1024, what="the job goes on without who reads no more")


def test_a_slow_terminal_is_told_and_cut_and_comes_back_at_its_byte(rig):
    limits = {"pace_s": 0.05, "slow_bytes": 300_000, "slow_s": 0.3, "farewell_s": 20}
    attempt = rig.spawn("sh", "-c", FLOOD, tty=(80, 24), limits=limits)
    control = attempt.coordinator()
    link = attempt.attach("watch", attachment="slow")
    assert link.welcome
    report = control.report("detached")
    assert report["reason"] == "slow"
    link.until_closed()
    (notice,) = link.notices("slow")
    assert notice["cursor"] == report["cursor"] == link.half.cursor
    again = attempt.attach("watch", start=link.half.cursor)
    again.until(lambda: len(again.output) > 10_000)
    joined = bytes(link.output + again.output)
    assert attempt.read_log()[0].startswith(joined)


def test_the_others_go_on_while_one_is_slow(rig):
    attempt = rig.spawn("sh", "-c", FLOOD, tty=(80, 24))
    slow, quick = attempt.attach("watch"), attempt.attach("watch")
    assert slow.welcome
    quick.until(lambda: len(quick.output) > 5_000_000)


def test_ctrl_c_works_in_a_huge_burst(rig):
    attempt = rig.spawn("sh", "-c", f"trap 'echo stopped; exit 9' INT; {FLOOD}", tty=(80, 24))
    link = attempt.attach()
    link.until(lambda: len(link.output) > 2_000_000)
    begin = time.monotonic()
    link.type(b"\x03")
    assert link.outcome == {"kind": "exited", "code": 9}
    assert time.monotonic() - begin < 10
    assert b"stopped" in link.output[-200:]


def test_a_controller_that_stops_reading_holds_the_flood_near(rig):
    attempt = rig.spawn("sh", "-c", FLOOD, tty=(80, 24), limits={"pace_s": 30})
    link = attempt.attach()
    assert link.welcome

    def end():
        return sum(os.path.getsize(path) for path in attempt.job_dir.glob("log/*.seg"))

    def settled():
        before = end()
        time.sleep(0)  # give way
        import select

        select.select([], [], [], 0.3)
        return before > 0 and end() == before

    rig.eventually(settled)
    assert end() < 4 * 1024 * 1024
    link.until(lambda: len(link.output) > 3_000_000)  # it goes on as soon as it reads


def test_too_many_attachments_are_refused(rig):
    attempt = rig.spawn("sleep", "60", limits={"attachments_max": 2})
    links = [attempt.attach("read"), attempt.attach("read")]
    assert all(link.welcome for link in links)
    assert "no more" in attempt.attach("read").error["detail"]


def test_a_damaged_block_is_told_to_a_client_and_the_rest_is_shown(rig):
    first = rig.spawn("sh", "-c", "seq 1 20000")
    first.ended()
    (segment,) = first.job_dir.glob("log/*.seg")
    with open(segment, "r+b") as file:
        file.seek(1000)
        file.write(b"#")
    second = rig.spawn("sh", "-c", "echo again; read x", job=first.job, attempt=2, tty=(80, 24))
    link = second.attach("read", start=0)
    link.until_output(b"again")
    (gap,) = link.notices("gap")
    assert gap["cause"] == "checksum"
    assert gap["offset"] <= 1000 < gap["offset"] + gap["length"] <= gap["offset"] + 65536
    whole = b"".join(b"%d\n" % number for number in range(1, 20_001)) + b"again\r\n"
    assert bytes(link.output) == whole[: gap["offset"]] + whole[gap["offset"] + gap["length"] :]


def test_catching_up_over_segments_and_attempts(rig):
    small = {"segment_bytes_max": 64 * 1024}
    first = rig.spawn("seq", "1", "50000", log=small)
    first.ended()
    second = rig.spawn("sh", "-c", "seq 50001 100000; read x", log=small, job=first.job, attempt=2, tty=(80, 24))
    link = second.attach("read", start=0)
    link.until_output(b"\n100000\r\n")
    numbers = bytes(link.output).replace(b"\r", b"")
    assert numbers == b"".join(b"%d\n" % number for number in range(1, 100_001))
