"""A full disk, with a real one: a small tmpfs below the log."""

import os
import subprocess

import pytest

from hawse.runner import claim
from hawse.wire import terminal

FLOOD = "i=0; while [ $i -lt {lines} ]; do i=$((i+1)); echo line $i of many that fill a disk in no time; done"


@pytest.fixture
def small_disk(rig, need):
    """Where a job's folder may be, with 2 MiB in all. `fill` leaves so many bytes, `free` gives all back."""
    disk = rig.base / "disk"
    disk.mkdir()
    if os.getuid() != 0:
        pytest.skip("mounting a tmpfs needs root")
    subprocess.run([need("mount"), "-t", "tmpfs", "-o", "size=2m,mode=700", "tmpfs", disk], check=True)

    class Disk:
        path = disk
        ballast = disk / "ballast"

        def fill(self, leave=0):
            found = os.statvfs(disk)
            size = found.f_bavail * found.f_frsize - leave
            with open(self.ballast, "wb") as file:
                os.posix_fallocate(file.fileno(), 0, size)

        def free(self):
            self.ballast.unlink()

    yield Disk()
    rig.close()  # what runs there must end before the disk goes
    subprocess.run([need("umount"), "-l", disk], check=True)


def spawn(rig, disk, lines, on_full, **values):
    values.setdefault("limits", {"retry_s": 0.05, "linger_s": 0.2, "room_bytes": 300_000})
    return rig.spawn(
        "sh",
        "-c",
        FLOOD.format(lines=lines),
        tty=(80, 24),
        job=f"fills{os.getpid()}",
        job_dir=str(disk.path / "job"),
        log={"on_full": on_full, "segment_bytes_max": 64 * 1024},
        **values,
    )


@pytest.mark.requirement("S3.3")
def test_block_the_job_waits_it_is_told_and_nothing_is_lost(rig, small_disk):
    attempt = spawn(rig, small_disk, 20_000, "block")
    control = attempt.coordinator()
    link = attempt.attach("watch")
    small_disk.fill(leave=400 * 1024)
    link.until(lambda: link.notices("log_blocked"))
    blocked = control.until(lambda: [one for one in control.reports("log") if one["state"] == "blocked"])
    assert "No space left" in blocked[0]["cause"]
    assert attempt.record() is None
    small_disk.free()
    link.until(lambda: link.notices("log_resumed"))
    assert link.outcome == {"kind": "exited", "code": 0}
    wanted = b"".join(b"line %d of many that fill a disk in no time\r\n" % n for n in range(1, 20_001))
    assert bytes(link.output) == wanted
    assert attempt.read_log() == (wanted, [])
    control.until(lambda: [one for one in control.reports("log") if one["state"] == "ok"])


@pytest.mark.requirement("S3.3")
def test_drop_the_job_goes_on_it_is_shown_and_the_gap_is_told(rig, small_disk):
    attempt = spawn(rig, small_disk, 60_000, "drop")
    control = attempt.coordinator()
    link = attempt.attach("control")
    small_disk.fill(leave=400 * 1024)
    control.until(lambda: [one for one in control.reports("log") if one["state"] == "dropping"])
    link.until(lambda: len(link.output) > 1_500_000)
    small_disk.free()
    resumed = control.until(lambda: [one for one in control.reports("log") if one["state"] == "ok"])
    assert resumed[0]["dropped"] > 0
    assert link.outcome == {"kind": "exited", "code": 0}
    wanted = b"".join(b"line %d of many that fill a disk in no time\r\n" % n for n in range(1, 60_001))
    shown = [(offset, data) for _, offset, _, data in link.of(terminal.OUTPUT)]
    assert all(wanted[offset : offset + len(data)] == data for offset, data in shown)
    told = sum(notice["length"] for notice in link.notices("gap"))
    assert len(link.output) + told == len(wanted), "what it was not shown, it was told"
    data, damaged = attempt.read_log()
    assert damaged
    assert {cause for _, _, cause in damaged} == {"dropped"}
    assert sum(length for _, length, _ in damaged) + len(data) == len(wanted)
    kept, at = bytearray(), 0
    for offset, length, _ in damaged:
        kept += wanted[at:offset]
        at = offset + length
    assert data == bytes(kept + wanted[at:])


def test_a_job_that_ends_on_a_full_disk_is_recorded_when_there_is_room(rig, small_disk):
    attempt = spawn(rig, small_disk, 5_000, "block")
    link = attempt.attach("watch")
    small_disk.fill()
    link.until(lambda: link.notices("log_blocked"))
    small_disk.free()
    assert attempt.ended()["outcome"] == {"kind": "exited", "code": 0}
    assert attempt.read_log()[0].endswith(b"line 5000 of many that fill a disk in no time\r\n")


def test_a_stop_while_the_log_is_blocked_ends_the_job(rig, small_disk):
    attempt = spawn(rig, small_disk, 500_000, "block")
    control = attempt.coordinator()
    link = attempt.attach("watch")
    small_disk.fill(leave=100 * 1024)
    link.until(lambda: link.notices("log_blocked"))
    control.command("stop", grace_s=1)
    rig.eventually(lambda: control.command("stop", grace_s=0) and control.reports("exited"))
    assert control.report("exited")["outcome"]["kind"] == "signalled"


def test_a_stop_at_once_waits_for_no_room(rig, small_disk):
    """It is said once: saying it again changes nothing, so the coordinator would not."""
    limits = {"retry_s": 0.05, "linger_s": 0.2, "drain_s": 0.2, "room_bytes": 300_000}
    attempt = spawn(rig, small_disk, 500_000, "block", limits=limits)
    control = attempt.coordinator()
    link = attempt.attach("watch")
    small_disk.fill(leave=100 * 1024)
    link.until(lambda: link.notices("log_blocked"))
    control.command("stop", grace_s=0)
    assert control.report("exited")["outcome"]["kind"] == "signalled"
    assert "not kept" in [one["cause"] for one in control.reports("log")][-1]


def test_an_attempt_that_cannot_be_claimed_is_refused(rig, small_disk):
    small_disk.fill()
    values, frame = rig.order(["true"], job_dir=str(small_disk.path / "none"))
    ((_, body),) = rig.ask(frame)
    assert b'"unclaimed"' in body
    assert claim.read(claim.attempt_dir(values["job_dir"], 1), claim.CLAIM) is None
