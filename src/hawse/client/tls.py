"""The thread that carries one link over TLS.

Theory of operation. Everything behind a link works on a plain socket: the compiled pump reads it as a descriptor,
asyncio as a non-blocking socket. So a TLS connection looks like a tunnel through ssh: our end of a socket pair, and
something at its other end that encrypts, here a thread. It waits in poll(2) without the interpreter's lock, holds at
most one piece of each direction, and ends when either side does: what was said last still leaves.
Tried and left: a process for each link (an interpreter's start is 50 ms), asyncio's own TLS (the pump and the
synchronous twin have no loop).
"""

from __future__ import annotations

import atexit
import os
import select
import socket
import ssl
import threading
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hawse.client.https import HttpsEndpoint

PIECE_BYTES = 64 * 1024
FAREWELL_S = 2.0  # for the last words to a peer that does not read
LOOK_S = 0.2  # between two looks at what else happens while the far side is waited for
# A peer that vanished is noticed after about 15 s, with and without something on its way to it. Source: tcp(7)
_KEPT_ALIVE = {
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE): 1,
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE): 5,
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL): 5,
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT): 2,
    (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT): 15_000,
    (socket.IPPROTO_TCP, socket.TCP_NODELAY): 1,
}
_IN, _OUT = select.POLLIN, select.POLLOUT


class TlsTunnel:
    """A TLS connection that has shaken hands. socket: our end, a plain connected one. asks: nobody is ever asked.
    expires_at: until when the server's certificate is good, Unix seconds.
    """

    __slots__ = ("__weakref__", "_thread", "expires_at", "socket")
    asks = False
    rest = b""

    def __init__(self, place: HttpsEndpoint, context: ssl.SSLContext, deadline: float) -> None:
        """Raises what place.unreachable makes of it, and what place.meanwhile raises."""
        try:
            far = _connected(place, context, deadline)
        except OSError as error:
            raise place.unreachable(error) from error
        shown = far.getpeercert() or {}
        self.expires_at = float(ssl.cert_time_to_seconds(str(shown["notAfter"]))) if "notAfter" in shown else 0.0
        self.socket, near = socket.socketpair()
        self._thread = threading.Thread(target=_carry, args=(far, near), name="hawse-tls", daemon=True)
        _living.add(self)
        try:
            self._thread.start()
        except BaseException:
            for one in (self.socket, near, far):
                one.close()
            raise

    def release(self) -> None:
        """Our end is closed: the thread ends by itself, once the last byte has left. Safe to call twice."""

    kill = release

    def leave(self) -> None:
        """The process ends: let the last words leave."""
        try:
            self.socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # it was closed before
        self._thread.join(FAREWELL_S)

    @property
    def is_over(self) -> bool:
        return not self._thread.is_alive()


_living: set[TlsTunnel] = set()


@atexit.register
def _leave() -> None:
    for tunnel in tuple(_living):
        tunnel.leave()


def _forget_inherited() -> None:
    """In a fork: our parent's threads are not ours, and what we shut down would be shut down for it."""
    _living.clear()


os.register_at_fork(after_in_child=_forget_inherited)


def _connected(place: HttpsEndpoint, context: ssl.SSLContext, deadline: float) -> ssl.SSLSocket:
    """Raises OSError; TimeoutError at the deadline."""
    _reap()
    last: OSError = ConnectionRefusedError("there is no address")
    for family, kind, number, _, address in socket.getaddrinfo(place.name_told, place.port, type=socket.SOCK_STREAM):
        plain = socket.socket(family, kind, number)
        try:
            plain.setblocking(False)
            for (level, name), value in _KEPT_ALIVE.items():
                plain.setsockopt(level, name, value)
            try:
                plain.connect(address)
            except BlockingIOError:
                _wait(place, plain, _OUT, deadline)
            code = plain.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if code:
                raise OSError(code, os.strerror(code))
        except OSError as error:
            plain.close()
            last = error
            continue
        except BaseException:
            plain.close()
            raise
        return _shaken(place, context, plain, deadline)
    raise last


def _shaken(place: HttpsEndpoint, context: ssl.SSLContext, plain: socket.socket, deadline: float) -> ssl.SSLSocket:
    far = plain
    try:
        far = context.wrap_socket(plain, server_hostname=place.name_told, do_handshake_on_connect=False)
        while True:
            try:
                far.do_handshake()
                return far
            except ssl.SSLWantReadError:
                _wait(place, far, _IN, deadline)
            except ssl.SSLWantWriteError:
                _wait(place, far, _OUT, deadline)
    except BaseException:
        far.close()
        raise


def _wait(place: HttpsEndpoint, sock: socket.socket, mask: int, deadline: float) -> None:
    """Until the socket is ready. Raises TimeoutError, and what place.meanwhile raises."""
    poll = select.poll()
    poll.register(sock.fileno(), mask)
    while True:
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("the deadline is over")
        if poll.poll(1000 * (min(left, LOOK_S) if place.meanwhile is not None else left)):
            return
        if place.meanwhile is not None:
            place.meanwhile(_Nobody())


class _Nobody:
    """What `meanwhile` may ask before there is a tunnel: nobody is asked anything on the terminal."""

    asks = False


def _reap() -> None:
    """Forget those that have ended."""
    for tunnel in tuple(_living):
        if tunnel.is_over:
            _living.discard(tunnel)


# -- the thread -------------------------------------------------------------------------------------------------------


def _carry(far: ssl.SSLSocket, near: socket.socket) -> None:
    """Both ways, until either side has ended. Closes both."""
    try:
        far.setblocking(False)
        near.setblocking(False)
        _Carrier(far, near).run()
    except OSError:
        pass  # whoever waits at the other end of the pair sees that it is closed
    finally:
        near.close()
        far.close()


class _Carrier:
    """up: from our user, not sent yet. down: from the far side, not taken yet."""

    def __init__(self, far: ssl.SSLSocket, near: socket.socket) -> None:
        self.far = far
        self.near = near
        self.up = self.down = memoryview(b"")
        self.far_over = self.near_over = False
        self.far_mask = 0  # what TLS itself waits for, whichever way the data goes

    def run(self) -> None:
        while not (self.far_over and not self.down) and not (self.near_over and not self.up):
            if not self._step() and not self._poll(FAREWELL_S if self.near_over else None):
                return  # nobody waits for what a peer does not take
        if self.near_over:
            self._say_goodbye()

    def _step(self) -> bool:
        """Do what can be done at once; True when there was something."""
        self.far_mask = 0
        done = self._hear_far() | self._hear_near()  # not `or`: both
        return self._tell_far() | self._tell_near() | done

    def _hear_far(self) -> bool:
        if self.down or self.far_over:
            return False
        try:
            data = self.far.recv(PIECE_BYTES)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError) as wanted:
            self.far_mask |= _OUT if isinstance(wanted, ssl.SSLWantWriteError) else _IN
            return False
        except OSError:
            data = b""
        self.down = memoryview(data)
        self.far_over = not data
        return True

    def _hear_near(self) -> bool:
        if self.up or self.near_over:
            return False
        try:
            data = self.near.recv(PIECE_BYTES)
        except BlockingIOError:
            return False
        except OSError:
            data = b""
        self.up = memoryview(data)
        self.near_over = not data
        return True

    def _tell_far(self) -> bool:
        if not self.up:
            return False
        try:
            self.up = self.up[self.far.send(self.up) :]
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError) as wanted:
            self.far_mask |= _OUT if isinstance(wanted, ssl.SSLWantWriteError) else _IN
            return False
        except OSError:
            self.far_over, self.up = True, memoryview(b"")
        return True

    def _tell_near(self) -> bool:
        if not self.down:
            return False
        try:
            self.down = self.down[self.near.send(self.down) :]
        except BlockingIOError:
            return False
        except OSError:
            self.near_over, self.down = True, memoryview(b"")
        return True

    def _poll(self, timeout_s: float | None) -> bool:
        poll = select.poll()
        if self.far_mask:
            poll.register(self.far.fileno(), self.far_mask)
        near_mask = (0 if self.up or self.near_over else _IN) | (_OUT if self.down else 0)
        if near_mask:
            poll.register(self.near.fileno(), near_mask)
        return bool(poll.poll(None if timeout_s is None else timeout_s * 1000))

    def _say_goodbye(self) -> None:
        """Our side has said all: tell so, and wait a moment until the far side has read it.

        Closing with something unread would make the kernel reset the connection, and destroy the last words.
        """
        deadline = time.monotonic() + FAREWELL_S
        self.far.shutdown(socket.SHUT_WR)
        poll = select.poll()
        poll.register(self.far.fileno(), _IN)
        plain = self.far.fileno()
        while time.monotonic() < deadline and poll.poll((deadline - time.monotonic()) * 1000):
            if not os.read(plain, PIECE_BYTES):
                return
