"""Both relays do the same: random schedules of output, slow clients, full disks and typing, compared step by step."""

import os
import resource
import socket
import time
from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hawse.runner import log as logs
from hawse.runner import relay as python
from hawse.runner import screen
from hawse.runner.attachment import Attachment
from hawse.runner.engine import Seat
from hawse.runner.log import Log
from hawse.wire.frame import frame
from hawse.wire.segment import decode_all
from hawse.wire.terminal import INPUT

core = pytest.importorskip("hawse._core", reason="the compiled core was not built")
if not hasattr(core, "Relay") or Seat is not core.Seat:
    pytest.skip("the compiled core was not built, or is not wanted (HAWSE_ENGINE)", allow_module_level=True)

CLIENTS = 3
SEGMENT_BYTES_MAX = 64 * 1024


class Bench:
    """One relay with its log, its job's output and input, and clients that read when they are told to."""

    def __init__(self, engine, directory, *, on_full):
        directory.mkdir()
        self.directory = directory
        self.log = Log(
            str(directory),
            attempt=1,
            segment_bytes_max=SEGMENT_BYTES_MAX,
            retain_bytes=0,
            on_full=on_full,
            room_bytes=0,
        )
        self.out, self.job_out = os.pipe2(os.O_NONBLOCK)
        self.job_in, typed = os.pipe2(os.O_NONBLOCK)
        self.relay = engine(self.log, input_fd=typed, input_bytes_max=1000)
        self.pairs = [socket.socketpair() for _ in range(CLIENTS)]
        self.attachments, self.received = [], [b""] * CLIENTS
        for number, (ours, theirs) in enumerate(self.pairs):
            ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
            ours.setblocking(False)
            theirs.setblocking(False)
            connection = SimpleNamespace(sock=ours, fd=ours.fileno(), more=None)
            self.attachments.append(Attachment(connection, id=str(number), mode="control", cursor=0, history=None))
        self.relay.live.extend(self.attachments)
        self.printed = self.read = b""

    # Each step returns what may be compared.

    def print_(self, size):
        start = len(self.printed)
        data = bytes((start + at) * 7 % 251 for at in range(size))
        try:
            done = os.write(self.job_out, data)
        except BlockingIOError:
            done = 0
        self.printed += data[:done]
        return done

    def pump(self, source):
        return self.relay.pump(self.out, source), self.settle()

    def pump_on_full_disk(self, room):
        """The disk takes `room` more bytes of the segment, then no more."""
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (os.fstat(self.log.fd).st_size + room, limits[1]))
        try:
            return self.pump(1)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)

    def retry(self):
        done = self.log.retry()
        if done and self.relay.kept:
            kept, self.relay.kept = self.relay.kept, b""
            done = self.relay.forward(kept, self.relay.kept_source), self.settle()
        return done

    def settle(self):
        """As the roster does: who could not take all leaves."""
        fallen, self.relay.fallen = self.relay.fallen, []
        for attachment, _, _ in fallen:
            self.relay.live.remove(attachment)
        return [(attachment.id, rest, sent) for attachment, rest, sent in fallen]

    def receive(self, number, size):
        try:
            self.received[number] += self.pairs[number][1].recv(size)
        except OSError:
            pass

    def come_back(self, number):
        if self.attachments[number] not in self.relay.live:
            self.relay.live.append(self.attachments[number])

    def hang_up(self, number):
        self.pairs[number][1].close()

    def type(self, size):
        return self.relay.type(b"t" * size)

    def type_on(self):
        return self.relay.type_on()

    def job_reads(self, size):
        try:
            self.read += os.read(self.job_in, size)
        except OSError:
            pass

    def index(self, final):
        return self.log.index(final=final)

    def end_output(self):
        if self.job_out >= 0:
            os.close(self.job_out)
            self.job_out = -1

    def end_input(self):
        os.close(self.job_in)
        self.job_in = os.open(os.devnull, os.O_RDONLY)

    @property
    def state(self):
        relay, log = self.relay, self.log
        return {
            "end": log.end,
            "fault": log.fault,
            "room": log._room,
            "dropped": log.bytes_dropped,
            "from": log.dropping_from,
            "kept": relay.kept,
            "kept_source": relay.kept_source,
            "typed": bytes(relay.typed),
            "read": self.read,
            "live": [one.id for one in relay.live],
            "cursors": [one.cursor for one in self.attachments],
            "received": self.received,
        }

    @property
    def files(self):
        return {path.name: path.read_bytes() for path in self.directory.glob("*.seg")}

    @property
    def runs(self):
        """Sources and kinds of all records, neighbours of one kind joined: cuts depend on the clock."""
        found = []
        for path in sorted(self.directory.glob("*.idx")):
            for record in decode_all(path.read_bytes())[0]:
                if found and found[-1][:2] == (record.kind, record.source) and found[-1][3] == record.offset:
                    found[-1][3] = record.end
                else:
                    found.append([record.kind, record.source, record.offset, record.end])
        return found

    def close(self):
        for fd in (self.out, self.job_in, self.relay.input_fd, *([self.job_out] if self.job_out >= 0 else [])):
            os.close(fd)
        for pair in self.pairs:
            for sock in pair:
                sock.close()
        self.log._close_segment()


def op(name, *arguments):
    return st.tuples(st.just(name), *arguments)


clients = st.integers(0, CLIENTS - 1)
sizes = st.one_of(st.integers(1, 5), st.integers(1, 3000), st.integers(1, 70_000))
steps = st.lists(
    st.one_of(
        op("print_", sizes),
        op("pump", st.sampled_from([1, 2])),
        op("pump", st.just(1)),
        op("pump_on_full_disk", st.integers(0, 3000)),
        op("retry"),
        op("receive", clients, sizes),
        op("come_back", clients),
        op("hang_up", clients),
        op("type", st.integers(0, 40_000)),
        op("type_on"),
        op("job_reads", sizes),
        op("index", st.booleans()),
        op("end_input"),
        op("end_output"),
    ),
    min_size=1,
    max_size=60,
)


def play(benches, steps):
    for name, *arguments in steps:
        if name == "print_" and benches[0].job_out < 0:
            continue
        said = [getattr(bench, name)(*arguments) for bench in benches]
        assert said[0] == said[1], (name, arguments)
        assert benches[0].state == benches[1].state, (name, arguments)


@settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(steps=steps, on_full=st.sampled_from(["block", "drop"]))
def test_any_schedule(tmp_path_factory, steps, on_full):
    place = tmp_path_factory.mktemp("twins")
    benches = [Bench(engine, place / engine.__module__, on_full=on_full) for engine in (python.Relay, core.Relay)]
    try:
        play(benches, steps)
        for bench in benches:
            bench.index(True)
        assert benches[0].files == benches[1].files
        assert benches[0].runs == benches[1].runs
    finally:
        for bench in benches:
            bench.close()


@pytest.fixture
def benches(tmp_path):
    made = [Bench(engine, tmp_path / engine.__module__, on_full="block") for engine in (python.Relay, core.Relay)]
    yield made
    for bench in made:
        bench.close()


@pytest.mark.parametrize("size", [1, 1023, 1024, 4096, 65535, 65536])
def test_every_size_of_one_burst(benches, size):
    play(benches, [("print_", size), *([("pump", 1)] * 3), ("receive", 0, 1 << 20), ("index", True)])
    assert benches[0].printed == benches[0].files["0" * 16 + ".seg"]


@pytest.mark.parametrize("passed_ms", [0, 5, 60, 400])
@pytest.mark.parametrize("before", [1, 511, 513])
@pytest.mark.parametrize("sources", [(1, 1), (1, 2)])
def test_moments_begin_alike(benches, passed_ms, before, sources):
    counts = []
    for bench in benches:
        bench.log._marks.append((0, time.time_ns() - passed_ms * 1_000_000, sources[0]))
        bench.log.end = before
        bench.relay.forward(b"x", sources[1])
        counts.append([(offset, source) for offset, _, source in bench.log._marks])
    assert counts[0] == counts[1]


def test_a_relay_takes_only_what_it_can_look_into(tmp_path, benches):
    with pytest.raises(TypeError):
        core.Relay(object(), input_fd=-1, input_bytes_max=1)
    relay = benches[1].relay
    relay.live.append(object())
    with pytest.raises(TypeError, match="attachments"):
        relay.forward(b"x", 1)
    relay.live = None
    with pytest.raises(TypeError, match="list"):
        relay.forward(b"x", 1)
    benches[1].log._marks = None
    relay.live = []
    with pytest.raises(TypeError, match="list"):
        relay.forward(b"x", 1)
    benches[1].log._marks = []


def test_the_hot_fields_are_plain_attributes(benches):
    for bench in benches:
        bench.log.end = 2**40
        assert bench.log.end == 2**40
        assert bench.attachments[0].fd == bench.pairs[0][0].fileno()
        with pytest.raises(TypeError):
            bench.log.end = "text"
        bench.log.end = 0
    assert logs.GRAIN_BYTES == 512
    assert logs.GRAIN_NS == 10_000_000
    assert logs.CALM_NS == 250_000_000, "relay.c repeats these"


# -- the poller -------------------------------------------------------------------------------------------------------


class Conn:
    """A connection that notes what it is given."""

    def __init__(self, relay):
        self.relay, self.given = relay, []

    def received(self, data):
        self.given.append(data)


@pytest.fixture
def poller(benches):
    failures = []
    bench = benches[1]
    poller = core.Poller(failed=lambda fd, error: failures.append((fd, error)))
    ours, theirs = bench.pairs[0]
    conn, unfinished = Conn(bench.relay), bytearray()
    poller.register(ours.fileno(), 1)
    poller.register(bench.out, 1)
    poller.shortcut_input(ours.fileno(), bench.relay, bench.attachments[0], conn, unfinished)
    poller.shortcut_output(bench.out, bench.relay, 1)
    bench.relay.typist = bench.attachments[0]
    bench.relay.calm_until = 1 << 40
    yield SimpleNamespace(
        poll=lambda: poller.poll(0.01, 64),
        bench=bench,
        client=theirs,
        conn=conn,
        unfinished=unfinished,
        fd=ours.fileno(),
        failures=failures,
        poller=poller,
    )
    poller.close()


def test_typing_and_output_need_no_handler(poller):
    poller.client.send(frame(INPUT, b"ls\r"))
    poller.bench.print_(10)
    assert poller.poll() == []
    assert os.read(poller.bench.job_in, 100) == b"ls\r"
    assert len(poller.client.recv(1000)) == 24
    assert poller.bench.attachments[0].cursor == 10
    assert poller.conn.given == [], "no Python for a keystroke"
    assert 0 <= time.monotonic_ns() - poller.bench.attachments[0].typed_ns < 10**9, "but when it was is noted"
    assert 0 <= time.monotonic_ns() - poller.bench.relay.log.printed_ns < 10**9


def test_who_is_not_the_typist_is_never_served_here(poller):
    poller.bench.relay.typist = poller.bench.attachments[1]
    for _ in range(3):
        poller.client.send(frame(INPUT, b"evil"))
        assert poller.poll() == [(poller.fd, 1)], "its handler decides"
    with pytest.raises(BlockingIOError):
        os.read(poller.bench.job_in, 100)
    assert poller.bench.attachments[0].typed_ns == 0


def test_only_attachments_type(poller):
    with pytest.raises(TypeError):
        poller.poller.shortcut_input(poller.fd, poller.bench.relay, object(), poller.conn, poller.unfinished)


def test_every_split_of_a_frame_goes_to_the_connection(poller):
    whole = frame(INPUT, b"abc")
    for cut in range(1, len(whole)):
        poller.conn.given.clear()
        for part in (whole[:cut], whole[cut:]):
            poller.client.send(part)
            assert poller.poll() == []
        assert b"".join(poller.conn.given) == whole, cut


def test_two_frames_at_once_go_to_the_connection(poller):
    poller.client.send(frame(INPUT, b"a") + frame(INPUT, b"b"))
    assert poller.poll() == []
    assert poller.conn.given == [frame(INPUT, b"a") + frame(INPUT, b"b")]


def test_what_the_job_does_not_read_goes_to_the_connection_as_a_frame(poller):
    sent = typed = 0
    while not poller.conn.given:
        poller.client.send(frame(INPUT, b"x" * 9000))
        sent += 9000
        assert poller.poll() == []
    while True:
        try:
            typed += len(os.read(poller.bench.job_in, 100_000))
        except BlockingIOError:
            break
    (rest,) = poller.conn.given
    assert rest == frame(INPUT, b"x" * (sent - typed))


@pytest.mark.parametrize("why", ["typist", "typed", "unfinished"])
def test_typing_that_is_not_simple_goes_to_the_handler(poller, why):
    if why == "typist":
        poller.bench.relay.typist = None
    elif why == "typed":
        poller.bench.relay.typed.extend(b"x")
    else:
        poller.unfinished.extend(b"x")
    poller.client.send(frame(INPUT, b"a"))
    assert poller.poll() == [(poller.fd, 1)]


@pytest.mark.parametrize("why", ["fault", "behind", "kept", "fallen"])
def test_output_that_is_not_simple_goes_to_the_handler_unread(poller, why):
    relay = poller.bench.relay
    if why == "fault":
        relay.log.fault = 28
    elif why == "behind":
        relay.behind = {1}
    elif why == "kept":
        relay.kept = b"x"
    else:
        relay.fallen.append((poller.bench.attachments[0], b"frame", 1))
    poller.bench.print_(5)
    assert poller.poll() == [(poller.bench.out, 1)]
    assert relay.log.end == 0
    if why in ("kept", "fallen"):
        assert relay.pump(poller.bench.out, 1) == (python.REFUSED if why == "kept" else python.IDLE)
        assert relay.log.end == 0


def test_output_beyond_calm_until_is_sent_and_then_told(poller):
    poller.bench.relay.calm_until = 5
    poller.bench.print_(5)
    assert poller.poll() == [(poller.bench.out, 1)]
    assert poller.bench.attachments[0].cursor == 5


def test_who_could_not_take_all_is_dealt_with_before_anybody_speaks(poller):
    bench = poller.bench
    for _ in range(4):
        bench.print_(60_000)
        poller.client.send(frame(99, b"?"))
        events = poller.poll()
        if bench.relay.fallen:
            assert events[0] == (bench.out, 1)
            break
    else:
        pytest.fail("nobody fell")


def test_an_end_goes_to_the_handlers(poller):
    poller.bench.end_output()
    poller.client.close()
    fds = {fd for fd, _ in poller.poll()}
    assert fds == {poller.bench.out, poller.fd}


def test_what_a_shortcut_raises_is_told_and_the_loop_goes_on(poller):
    poller.bench.relay.live.append(object())
    poller.bench.print_(5)
    assert poller.poll() == []
    ((fd, error),) = poller.failures
    assert fd == poller.bench.out
    assert isinstance(error, TypeError)


def test_without_a_shortcut_it_is_epoll(poller):
    bench = poller.bench
    poller.poller.unregister(bench.out)
    bench.print_(5)
    assert poller.poll() == []
    poller.poller.register(bench.out, 1)
    assert poller.poll() == [(bench.out, 1)]
    poller.poller.modify(bench.out, 4)
    assert poller.poll() == []
    with pytest.raises(OSError, match="exists"):
        poller.poller.register(bench.out, 1)
    with pytest.raises(ValueError, match="descriptor"):
        poller.poller.shortcut_output(-1, bench.relay, 1)


# -- the tracker's search ---------------------------------------------------------------------------------------------

pieces = st.sampled_from(
    [
        b"\x1b[",
        b"\x1b",
        b"0;",
        b"31",
        b":",
        b"m",
        b"K",
        b"A",
        b"D",
        b"E",
        b"H",
        b"2J",
        b"?25h",
        b"]2;t\x07",
        b"c",
        b"text",
    ]
)


@settings(max_examples=500, deadline=None)
@given(parts=st.lists(pieces, max_size=12), cut=st.integers(0, 4))
def test_the_same_sequences_are_found(parts, cut):
    data = b"".join(parts)
    stop = max(0, len(data) - cut)
    found = [(match.start(), match.group(), match.lastgroup) for match in screen.interesting(data, stop)]
    expected = screen.INTERESTING.finditer(data, 0, stop)
    assert found == [(match.start(), match.group(), match.lastgroup) for match in expected]
    last = screen.UNFINISHED.search(data)
    assert screen.unfinished(data) == (last.group() if last is not None else b"")


def test_a_search_may_stop_anywhere():
    assert core.sequences(b"\x1b[31m\x1b[2J\x1b", 100) == [5, 9]
    assert core.sequences(b"\x1b[31m", 4) == [0]
    assert core.sequences(b"\x1bc", 0) == core.sequences(b"\x1bc", -1) == []
