"""The hot loop, with sockets and pipes for runner and terminal."""

import os
import socket

import pytest

from hawse.cli.attach import pump as pumps
from hawse.cli.attach.keys import Keys
from hawse.cli.attach.modes import Modes
from hawse.cli.attach.pump import Pump
from hawse.wire import terminal
from hawse.wire.frame import FrameReader, frame


class Bench:
    """A pump between pipes: `type` is the keyboard, `screen` and `errors` what is shown, `runner` the other end."""

    def __init__(self, **settings):
        self.input_fd, self.keyboard = os.pipe()
        self.screen_fd, output_fd = os.pipe()
        self.errors_fd, error_fd = os.pipe()
        self.wake_fd, self.wake = os.pipe()
        self.fds = [
            self.input_fd,
            self.keyboard,
            self.screen_fd,
            output_fd,
            self.errors_fd,
            error_fd,
            self.wake_fd,
            self.wake,
        ]
        self.runner, self.client = socket.socketpair()
        self.runner.settimeout(5)
        self.pump = Pump(
            input_fd=self.input_fd, output_fd=output_fd, error_fd=error_fd, wake_fd=self.wake_fd, keys=Keys(),
            modes=Modes(), **settings,
        )  # fmt: skip
        self.pump.link(self.client)
        self.pump.welcomed()
        self.output_fd = output_fd

    def said(self) -> list[tuple[int, bytes]]:
        """Frames that the runner has got."""
        reader = FrameReader(body_bytes_max=terminal.CLIENT_BODY_BYTES_MAX)
        return reader.feed(self.runner.recv(1 << 20))

    def until(self, *wanted: int) -> tuple[int, bytes]:
        event, body = self.pump.run(5)
        assert event in wanted
        return event, body

    def close(self):
        for fd in self.fds:
            try:
                os.close(fd)
            except OSError:
                pass
        self.runner.close()
        self.client.close()


@pytest.fixture
def bench():
    made = Bench()
    yield made
    made.close()


def test_output_goes_to_its_place_and_moves_the_offset(bench):
    out = terminal.output(100, terminal.STDOUT, b"hello")
    err = terminal.output(105, terminal.STDERR, b"oops")
    bench.runner.sendall(out + err + terminal.message(terminal.EXIT, kind="exited", code=0))
    bench.until(terminal.EXIT)
    assert os.read(bench.screen_fd, 100) == b"hello"
    assert os.read(bench.errors_fd, 100) == b"oops"
    assert bench.pump.offset == 109


def test_frames_that_come_in_pieces(bench):
    whole = (
        terminal.output(0, 1, b"abcdef")
        + frame(terminal.RESTORE, b"R")
        + terminal.message(terminal.NOTICE, kind="x", detail="d")
    )
    for at in range(len(whole)):
        bench.runner.sendall(whole[at : at + 1])
        if at < len(whole) - 1:
            assert bench.pump.run(0.001) == (pumps.TIMEOUT, b"")
    bench.until(terminal.NOTICE)
    assert os.read(bench.screen_fd, 100) == b"abcdefR"


def test_typed_bytes_become_input_frames(bench):
    os.write(bench.keyboard, b"ls\r")
    assert bench.pump.run(0.05)[0] == pumps.TIMEOUT
    assert bench.said() == [(terminal.INPUT, b"ls\r")]


def test_the_detach_key_is_an_event_and_what_came_before_is_typed(bench):
    os.write(bench.keyboard, b"x\x1cd")
    bench.until(pumps.KEY_DETACH)
    assert bench.said() == [(terminal.INPUT, b"x")]


def test_a_watcher_types_nothing():
    bench = Bench(sends_input=False)
    os.write(bench.keyboard, b"x\x1cd")
    bench.until(pumps.KEY_DETACH)
    bench.client.close()
    assert bench.runner.recv(10) == b""
    bench.close()


def test_events_from_outside(bench):
    os.write(bench.wake, b"\x1c")
    assert bench.until(pumps.WOKEN)[1] == b"\x1c"
    os.close(bench.keyboard)
    bench.until(pumps.INPUT_GONE)
    assert bench.pump.run(0.01) == (pumps.TIMEOUT, b"")
    bench.runner.close()
    bench.until(pumps.LINK_GONE)
    assert bench.pump.run(0.01) == (pumps.TIMEOUT, b"")


def test_a_screen_that_is_gone(bench):
    os.close(bench.screen_fd)
    bench.runner.sendall(terminal.output(0, 1, b"x"))
    bench.until(pumps.OUTPUT_GONE)


def test_a_frame_that_is_too_large_is_nonsense(bench):
    bench.runner.sendall(b"\xff\xff\xff\xff\x04")
    bench.until(pumps.NONSENSE)


def test_a_runner_that_does_not_read_stops_the_typing_and_nothing_is_lost(bench):
    sent, block = b"", b"0123456789" * 1000
    os.set_blocking(bench.keyboard, False)
    while True:
        try:
            sent += block[: os.write(bench.keyboard, block)]
        except BlockingIOError:
            if bench.pump.run(0.01)[0] == pumps.TIMEOUT and bench.pump._unsent:
                break
    bench.runner.sendall(terminal.output(0, 1, b"still shown"))
    assert bench.pump.run(0.01)[0] == pumps.TIMEOUT
    assert os.read(bench.screen_fd, 100) == b"still shown"
    os.close(bench.keyboard)
    reader = FrameReader(body_bytes_max=terminal.CLIENT_BODY_BYTES_MAX)
    typed = b""
    while len(typed) < len(sent):
        typed += b"".join(body for _, body in reader.feed(bench.runner.recv(1 << 16)))
        bench.pump.run(0.001)
    assert typed == sent


def test_a_new_link_forgets_half_a_frame(bench):
    bench.runner.sendall(terminal.output(0, 1, b"abc")[:8])
    assert bench.pump.run(0.01)[0] == pumps.TIMEOUT
    bench.runner.close()
    bench.until(pumps.LINK_GONE)
    fresh, ours = socket.socketpair()
    bench.pump.link(ours)
    fresh.sendall(terminal.output(0, 1, b"abc") + frame(terminal.PING, bytes(8)))
    bench.until(terminal.PING)
    assert os.read(bench.screen_fd, 10) == b"abc"
    fresh.close()
    ours.close()


def test_nothing_is_typed_before_the_welcome(bench):
    bench.pump.link(bench.client)
    os.write(bench.keyboard, b"early")
    assert bench.pump.run(0.02)[0] == pumps.TIMEOUT
    bench.pump.welcomed()
    assert bench.pump.run(0.02)[0] == pumps.TIMEOUT
    assert bench.said() == [(terminal.INPUT, b"early")]
