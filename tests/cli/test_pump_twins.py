"""Both pumps do the same: whatever comes in whatever pieces, the same bytes go out and the same events are told."""

import errno
import os
import socket

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hawse.cli.attach import pump as python
from hawse.cli.attach.keys import Keys
from hawse.cli.attach.modes import Modes
from hawse.wire import terminal
from hawse.wire.frame import frame

core = pytest.importorskip("hawse._core", reason="the compiled core was not built")
if not hasattr(core, "Pump"):
    pytest.skip("the compiled core was not built", allow_module_level=True)


class Bench:
    """One pump between a user (input, output, errors), a runner (the other end of a socket) and signals (wake)."""

    def __init__(self, engine, *, key=0x1C, with_modes=True, sends_input=True):
        self.fds = [os.pipe2(os.O_NONBLOCK) for _ in range(4)]
        (self.input, self.user), (self.output, out), (self.errors, err), (wake, self.signals) = self.fds
        os.set_blocking(out, True)
        os.set_blocking(err, True)
        self.keys, self.modes = Keys(key), Modes() if with_modes else None
        self.pump = engine(
            input_fd=self.input,
            output_fd=out,
            error_fd=err,
            wake_fd=wake,
            keys=self.keys,
            modes=self.modes,
            sends_input=sends_input,
            unsent_bytes_max=20_000,
        )
        self.shown = self.shown_errors = self.heard = b""
        self.socks = []
        self.link()

    def link(self):
        for sock in self.socks:
            sock.close()
        ours, self.runner = self.socks = socket.socketpair()
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        self.runner.setblocking(False)
        self.pump.link(ours)

    def welcomed(self):
        self.pump.welcomed()

    def unlink(self):
        self.pump.link(None)

    def hang_up(self):
        self.runner.close()

    def says(self, data):
        try:
            self.runner.sendall(data)
        except OSError:
            pass

    def hears(self, size):
        try:
            self.heard += self.runner.recv(size)
        except OSError:
            pass

    def types(self, data):
        if self.user >= 0:
            try:
                return os.write(self.user, data)
            except BlockingIOError:
                pass
        return 0

    def closes_input(self):
        if self.user >= 0:
            os.close(self.user)
            self.user = -1

    def signal(self, number):
        os.write(self.signals, bytes([number]))

    def send(self, data):
        self.pump.send(data)

    def run(self):
        """Until nothing happens any more."""
        events = []
        while not events or events[-1][0] != python.TIMEOUT:
            events.append(self.pump.run(0))
            self.drain()
        return events

    def drain(self):
        for fd, name in ((self.output, "shown"), (self.errors, "shown_errors")):
            try:
                while data := os.read(fd, 65536):
                    setattr(self, name, getattr(self, name) + data)
            except BlockingIOError:
                pass

    @property
    def state(self):
        modes = sorted(self.modes._on) if self.modes is not None else None
        return {
            "shown": self.shown,
            "errors": self.shown_errors,
            "heard": self.heard,
            "offset": self.pump.offset,
            "modes": modes,
            "plain": self.keys.is_plain(b"x"),
            "input": self.pump.input_fd >= 0,
            "unsent": self.pump.unsent,
            "lost": self.pump.lost,
        }

    def close(self):
        for pair in self.fds:
            for fd in pair:
                if fd >= 0 and (fd != pair[1] or self.user >= 0 or pair is not self.fds[0]):
                    os.close(fd)
        for sock in self.socks:
            sock.close()


def op(name, *arguments):
    return st.tuples(st.just(name), *arguments)


texts = st.one_of(
    st.binary(max_size=20),
    st.sampled_from([b"\x1b[?1049h", b"\x1b[?25l\x1b[?1;2004h", b"\x1b[", b"?1000;1006h", b"\x1b[?1", b"l"]),
    st.integers(1, 9000).map(lambda size: b"y" * size),
    st.integers(55, 70).map(lambda count: b"\x1b[?" + b"1" * count + b"h"),
)
frames = st.one_of(
    st.builds(terminal.output, st.integers(0, 2**50), st.sampled_from([1, 2]), texts),
    texts.map(lambda body: frame(14, body)),
    st.builds(frame, st.integers(0, 40), st.binary(max_size=12)),
    st.just(terminal.notice("x", "words")),
)
streams = st.lists(frames, min_size=1, max_size=5).map(b"".join)
typing = st.one_of(
    st.binary(min_size=1, max_size=10),
    st.sampled_from([b"\x1c", b"\x1cd", b"\x1c\x1c", b"a\x1c?b", b"\x1cx", b"d", b"?"]),
    st.integers(1, 9000).map(lambda size: b"k" * size),
)


@st.composite
def scripts(draw):
    """Steps, with what the runner says cut in pieces."""
    steps = []
    for _ in range(draw(st.integers(1, 25))):
        kind = draw(st.sampled_from(["says", "says", "says", "types", "types", "other"]))
        if kind == "says":
            data = draw(streams)
            cuts = sorted(draw(st.lists(st.integers(0, len(data)), max_size=4)))
            for first, last in zip([0, *cuts], [*cuts, len(data)], strict=True):
                steps += [("says", data[first:last]), *draw(st.sampled_from([[], [("run",)]]))]
        elif kind == "types":
            steps.append(("types", draw(typing)))
        else:
            steps.append(
                draw(
                    st.one_of(
                        op("signal", st.integers(1, 31)),
                        op("hears", st.integers(1, 20_000)),
                        op("send", st.binary(max_size=9000)),
                        op("welcomed"),
                        op("link"),
                        op("unlink"),
                        op("hang_up"),
                        op("closes_input"),
                    )
                )
            )
        steps += draw(st.sampled_from([[], [("run",)], [("run",), ("hears", 100_000)]]))
    return [*steps, ("run",), ("hears", 100_000), ("run",), ("hears", 100_000)]


def play(benches, steps):
    for name, *arguments in steps:
        said = [getattr(bench, name)(*arguments) for bench in benches]
        assert said[0] == said[1], (name, arguments)
        assert benches[0].state == benches[1].state, (name, arguments)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(
    steps=scripts(),
    key=st.sampled_from([0x1C, 0x01, None]),
    with_modes=st.booleans(),
    sends_input=st.booleans(),
    is_welcome=st.booleans(),
)
def test_any_script(steps, key, with_modes, sends_input, is_welcome):
    made = [Bench(one, key=key, with_modes=with_modes, sends_input=sends_input) for one in (python.Pump, core.Pump)]
    try:
        play(made, [("welcomed",), *steps] if is_welcome else steps)
    finally:
        for bench in made:
            bench.close()


@pytest.fixture
def benches():
    made = [Bench(engine) for engine in (python.Pump, core.Pump)]
    yield made
    for bench in made:
        bench.close()


def test_every_split_of_a_stream(benches):
    stream = (
        terminal.output(7, 1, b"a\x1b[?1049;1hb")
        + terminal.notice("slow", "words")
        + terminal.output(20, 2, b"e")
        + frame(terminal.RESTORE, b"\x1b[?25l")
        + terminal.output(21, 1, b"")
    )
    for cut in range(len(stream) + 1):
        play(benches, [("link",), ("says", stream[:cut]), ("run",), ("says", stream[cut:]), ("run",)])


def test_every_split_of_typing(benches):
    typed = b"ab\x1c\x1cc\x1c?\x1cx\x1cd"
    play(benches, [("welcomed",)])
    for cut in range(1, len(typed)):
        play(benches, [("types", typed[:cut]), ("run",), ("types", typed[cut:]), ("run",), ("hears", 1000)])


def test_a_frame_that_is_too_large(benches):
    size = (terminal.SERVER_BODY_BYTES_MAX + 1).to_bytes(4, "big")
    play(benches, [("says", terminal.output(0, 1, b"x") + size + b"\4"), ("run",)])
    assert benches[1].shown == b"x"


def test_the_largest_frame(benches):
    body = b"n" * terminal.SERVER_BODY_BYTES_MAX
    for bench in benches:
        sent, events = 0, []
        data = frame(terminal.NOTICE, body)
        while sent < len(data):
            sent += bench.runner.send(data[sent : sent + 30_000])
            events += bench.run()
        assert (terminal.NOTICE, body) in events


def test_a_runner_that_takes_nothing_stops_the_typing(benches):
    play(benches, [("welcomed",), *[("types", b"k" * 9000), ("run",)] * 6])
    play(benches, [*[("hears", 5000), ("run",)] * 40, ("hears", 100_000), ("run",)])
    assert benches[1].heard.count(b"k") + benches[1].pump.lost == 6 * 9000
    assert 20_000 < benches[1].heard.count(b"k") < 6 * 9000


def test_the_detach_key_behind_a_paste_that_nobody_takes(benches):
    play(benches, [("welcomed",), *[("types", b"k" * 9000), ("run",)] * 6, ("types", b"\x1cd")])
    for bench in benches:
        assert (python.KEY_DETACH, b"") in bench.run()


def test_typing_counts_again_when_all_that_waited_is_taken(benches):
    play(benches, [("welcomed",), *[("types", b"k" * 9000), ("run",)] * 6])
    for bench in benches:
        events = []
        while bench.pump.unsent:
            bench.hears(5000)
            events += bench.run()
        assert (python.INPUT_TAKEN, b"") in events
    play(benches, [("hears", 100_000), ("types", b"again"), ("run",), ("hears", 100_000)])
    assert benches[1].heard.endswith(b"again")


def test_what_is_typed_before_the_welcome_waits_and_the_key_counts(benches):
    play(benches, [("link",), ("types", b"early"), ("run",), ("hears", 1000), ("types", b"\x1c?"), ("run",)])
    assert not benches[1].heard
    play(benches, [("welcomed",), ("run",), ("hears", 1000)])
    assert benches[1].heard == frame(terminal.INPUT, b"early")


def test_what_is_typed_while_there_is_no_link_waits_for_the_next(benches):
    play(benches, [("link",), ("types", b"early"), ("run",), ("unlink",), ("types", b"late"), ("run",)])
    play(benches, [("link",), ("run",), ("welcomed",), ("run",), ("hears", 1000)])
    assert benches[1].heard == frame(terminal.INPUT, b"early") + frame(terminal.INPUT, b"late")
    assert benches[1].pump.lost == 0


def test_a_welcome_without_a_link_means_nothing(benches):
    play(benches, [("unlink",), ("welcomed",), ("types", b"x"), ("run",), ("link",), ("welcomed",), ("run",)])
    play(benches, [("hears", 1000)])
    assert benches[1].heard == frame(terminal.INPUT, b"x")


@pytest.mark.parametrize("how", ["hang_up", "link"])
def test_what_a_link_takes_with_it_is_counted(benches, how):
    play(benches, [("welcomed",), *[("types", b"k" * 9000), ("run",)] * 2, (how,), ("run",)])
    assert benches[1].pump.unsent == 0
    assert 0 < benches[1].pump.lost <= 2 * 9005


def test_without_a_detach_key_nothing_is_read_while_anything_waits():
    made = [Bench(engine, key=None) for engine in (python.Pump, core.Pump)]
    try:
        play(made, [("welcomed",), *[("types", b"k" * 9000), ("run",)] * 6])
        for bench in made:
            assert bench.pump.unsent < 20_000
            assert bench.pump.lost == 0
        play(made, [*[("hears", 5000), ("run",)] * 40, ("hears", 100_000), ("run",)])
        assert made[1].heard.count(b"k") == 6 * 9000
    finally:
        for bench in made:
            bench.close()


def test_output_that_goes_nowhere(benches):
    for bench in benches:
        os.close(bench.output)
        bench.fds[1] = (os.open(os.devnull, os.O_RDONLY), bench.fds[1][1])
        bench.output = bench.fds[1][0]
        bench.says(terminal.output(0, 1, b"x"))
        assert bench.pump.run(1) == (python.OUTPUT_GONE, b"%d" % errno.EPIPE)


def test_a_signal_handler_may_raise_out_of_a_write_that_blocks(benches):
    import signal
    import threading

    class Out(Exception):
        pass

    def raise_out(number, _frame):
        raise Out

    before = signal.signal(signal.SIGUSR1, raise_out)
    try:
        for bench in benches:
            bench.says(terminal.output(0, 1, b"x" * 60_000) + terminal.output(60_000, 1, b"x" * 60_000))
            timer = threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGUSR1))
            timer.start()
            with pytest.raises(Out):
                bench.pump.run()
            timer.join()
            bench.drain()
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_what_a_pump_must_have():
    with pytest.raises(TypeError):
        core.Pump(input_fd=0, output_fd=1, error_fd=2, wake_fd=3)
    with pytest.raises(AttributeError):
        core.Pump(input_fd=0, output_fd=1, error_fd=2, wake_fd=3, keys=object(), modes=None)
