"""Who is attached: entry by ticket, rights by mode and control, pace, slow readers.

Only the attachment that has control (`token`) reaches the job: its bytes, signals and window size. It alone is the
relay's typist, so the compiled short way serves nobody else.
"""

from __future__ import annotations

import time

from hawse.runner.activity import Activity
from hawse.runner.admission import Admission, Refusals
from hawse.runner.attachment import Attachment, History
from hawse.runner.peer import peer_uid
from hawse.runner.restore import outside
from hawse.runner.slow import Slow
from hawse.runner.token import Token
from hawse.wire import terminal
from hawse.wire.errors import Malformed, TicketRefused, WireError
from hawse.wire.frame import frame
from hawse.wire.ticket import Ticket

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from hawse.runner.connection import Connection
    from hawse.runner.job import Job
    from hawse.runner.limits import Limits
    from hawse.runner.loop import Loop
    from hawse.runner.relay import Relay
    from hawse.wire.order import Order

ASK_AGAIN = "ask the coordinator for a new ticket: hawse attach"


class Roster:
    """All attachments of a job. Enforces each one's mode here, where the bytes come in.

    report: tells the coordinator. changed: called when somebody left or caught up.
    """

    def __init__(
        self, order: Order, loop: Loop, limits: Limits, relay: Relay, job: Job, *, report: Callable[..., None],
        changed: Callable[[], None],
    ) -> None:  # fmt: skip
        self.order = order
        self.loop = loop
        self.limits = limits
        self.relay = relay
        self.job = job
        self.history = History(relay.log, is_terminal=order.tty is not None)
        self.present: dict[str, Attachment] = {}
        self.behind: set[Attachment] = set()
        self.outcome: dict[str, Any] | None = None
        self.token = Token(order.holder, order.fence)
        self.activity = Activity(relay.log)
        self.slow = Slow(loop, limits, self.behind, cut=self._too_slow)
        self._loser = ""  # who lost control by somebody's ticket, until the coordinator says how
        self._report = report
        self._changed = changed
        self._admission = Admission(
            job=order.job, attempt=order.attempt, secret=order.secret, nonces_max=int(limits.nonces_max),
            cuts_max=int(limits.cuts_max),
        )  # fmt: skip
        self._refusals = Refusals(window_s=limits.refused_s, count_max=int(limits.attachments_max))
        relay.behind = self.behind
        self._parting: set[Connection] = set()

    # -- entry --------------------------------------------------------------------------------------------------------

    def enter(self, connection: Connection, body: bytes) -> None:
        """HELLO has come: let the client in, or tell it why not."""
        try:
            hello = terminal.parse_hello(body)
            ticket = self._admit(hello.ticket)
            cursor = self._start(hello.start, ticket.mode)
        except WireError as error:
            next_step = ASK_AGAIN if isinstance(error, TicketRefused) else ""
            code = f"ticket_{error.reason}" if isinstance(error, TicketRefused) else error.code
            if isinstance(error, TicketRefused):
                self._tell_refused(connection, code, error.attachment)
            connection.say(terminal.error(code, str(error), next_step))
            connection.close()
            return
        older = self.present.pop(ticket.attachment, None)
        if older is not None:
            self._drop(older)
            self._farewell(older, terminal.detach("replaced", "this attachment was linked again from elsewhere"))
        if ticket.fence:
            self._move_control(ticket.attachment, ticket.fence, ticket.who)
        attachment = self._welcome(connection, hello, ticket, cursor, older)
        self._report("attached", attachment=attachment.id, mode=attachment.mode, cursor=attachment.cursor)

    def _admit(self, text: str) -> Ticket:
        ticket = self._admission.admit(text, now=time.time())
        if len(self.present) >= self.limits.attachments_max and ticket.attachment not in self.present:
            raise Malformed(f"this job has {len(self.present)} attachments; no more are possible")
        return ticket

    def _tell_refused(self, connection: Connection, reason: str, attachment: str) -> None:
        """Somebody tried what he may not: the coordinator tells the session's owner."""
        uid = peer_uid(connection.sock)
        count = self._refusals.count(reason, attachment, uid, now=time.monotonic())
        if count:
            self._report("refused", reason=reason, attachment=attachment, uid=uid, count=count)

    def _start(self, start: int | str, mode: str) -> int | None:
        """The cursor to begin at; None: restore the screen."""
        end = self.relay.log.end
        if isinstance(start, int):
            if start > end:
                raise Malformed(f"HELLO: from {start} is beyond the log's end, {end}")
            return start
        if start == "end":
            return end
        return None if mode != "read" and self.job.has_terminal else self.job.tail_start()

    def _welcome(
        self, connection: Connection, hello: terminal.Hello, ticket: Ticket, cursor: int | None,
        older: Attachment | None,
    ) -> Attachment:  # fmt: skip
        restore = self.job.restore() if cursor is None else None
        offset = restore.offset if restore is not None else cursor or 0
        attachment = Attachment(connection, id=ticket.attachment, mode=ticket.mode, cursor=offset, history=self.history)
        attachment.upto_date = self._upto_date
        attachment.moved = self._moved
        self.present[attachment.id] = attachment
        self.activity.entered(attachment, older, now=time.monotonic_ns())
        self.behind.add(attachment)
        connection.reader.body_bytes_max = terminal.CLIENT_BODY_BYTES_MAX
        connection.frames = lambda kind, body: self._frame(attachment, kind, body)
        connection.lost = lambda error: self._lost(attachment, error)
        connection.stuck = lambda: self._stuck(attachment)
        if attachment.mode == "control" and self.job.takes_input:
            connection.raw = lambda data: self._typed_raw(attachment, data)
            self.loop.shortcut_input(self.relay, attachment, connection)
        size_before = self.job.size
        self._note_size(attachment, hello.columns, hello.rows)
        if self._holds(attachment):
            self._seat()
        columns, rows = self.job.size
        welcome = terminal.Welcome(
            job=self.order.job, attachment=attachment.id, mode=attachment.mode, tty=self.job.has_terminal,
            offset=offset, end=self.relay.log.end, columns=columns, rows=rows,
            holds=self._holds(attachment), who=self.token.who,
        )  # fmt: skip
        connection.progress_at = time.monotonic()
        connection.say(terminal.welcome(welcome))
        if trouble := self.job.log_notice():
            connection.say(trouble)
        if restore is not None:
            connection.queue_bytes_max += sum(map(len, restore.frames))
            for one in restore.frames:
                connection.say(one)
            if not restore.is_exact and self.job.size == size_before:
                self.job.redraw()
        if connection.is_open and connection.is_idle:
            attachment.catch_up()
        return attachment

    # -- control ------------------------------------------------------------------------------------------------------

    def give_control(self, id: str, fence: int, who: str, words: str = "") -> bool:
        """This attachment has control from now on ("": nobody), linked or not. False: the fence is not newer.

        who: it, in words. words: how that came, for who loses it. What was typed before goes to the job in its order.
        """
        moved = self._move_control(id, fence, who)
        if fence != self.token.fence:
            return False
        loser, self._loser = self.present.get(self._loser), ""
        if loser is not None:
            loser.connection.say(terminal.notice("control", words or self.token.words, holds=0, who=who))
        if moved and id in self.present:
            self.present[id].connection.say(terminal.notice("control", "you have control", holds=1, who=who))
        return moved

    def _move_control(self, id: str, fence: int, who: str) -> bool:
        """Nobody is told yet: whose ticket did this knows it, and of who loses control the coordinator knows more."""
        before = self.token.holder
        if not self.token.change(id, fence, who):
            return False
        for one in self.present.values():
            one.told_refused = False  # who has control is told anew
        self._loser = before if before != id else ""
        self._seat()
        return True

    def _holds(self, attachment: Attachment) -> bool:
        return attachment.id == self.token.holder and attachment.mode == "control"

    @property
    def _holder(self) -> Attachment | None:
        holder = self.present.get(self.token.holder)
        return holder if holder is not None and holder.mode == "control" else None

    def _seat(self) -> None:
        """The holder types the short way, and the window has its size."""
        holder = self._holder
        self.relay.typist = holder if self.job.takes_input else None
        if holder is not None and holder.columns:
            self._resize(holder.columns, holder.rows)

    def quiet(self) -> list[dict[str, Any]]:
        """How long each attachment has been inactive."""
        now = time.monotonic_ns()
        return [{"attachment": one.id, **self.activity.quiet(one, now=now)} for one in self.present.values()]

    # -- what clients say ---------------------------------------------------------------------------------------------

    def _typed_raw(self, attachment: Attachment, data: bytes) -> bool:
        typed = terminal.sole_input(data)
        if typed is None or not self._holds(attachment):
            return False
        self._typed(attachment, typed)
        return True

    def _typed(self, attachment: Attachment, data: bytes) -> None:
        attachment.typed_ns = time.monotonic_ns()
        if not self.relay.type(data):
            for one in self.present.values():
                one.connection.read_on(False)
        if self.relay.typed:
            self.job.watch_input()

    def read_on(self) -> None:
        """The job read what was typed: clients may go on typing."""
        for one in self.present.values():
            one.connection.read_on(True)

    def _frame(self, attachment: Attachment, kind: int, body: bytes) -> None:
        if kind == terminal.PING:
            attachment.connection.say(terminal.pong(body))
        elif kind == terminal.PONG:
            terminal.parse_tick(body)
        elif kind == terminal.DETACH:
            reason, _ = terminal.parse_detach(body)
            self._leave(attachment, reason if reason in ("lost", "idle", "closed") else "asked")
            attachment.connection.close()
        elif kind in (terminal.INPUT, terminal.RESIZE, terminal.SIGNAL, terminal.INPUT_END):
            self._act(attachment, kind, body)
        else:
            raise Malformed(f"a client does not send frames of type {kind}")

    def _act(self, attachment: Attachment, kind: int, body: bytes) -> None:
        """What reaches the job, if it comes from the holder of control."""
        if kind == terminal.RESIZE:
            self._note_size(attachment, *terminal.parse_resize(body))
            if self._holds(attachment):
                self._resize(attachment.columns, attachment.rows)
        elif attachment.mode != "control":
            self._refuse(attachment, "read_only", f"this attachment may {attachment.mode}, not type")
        elif not self._holds(attachment):
            attachment.typed_ns = time.monotonic_ns()  # who types in vain is not idle
            detail = f"{self.token.words}; what you type goes nowhere"
            self._refuse(attachment, "no_control", detail, who=self.token.who)
        elif kind == terminal.SIGNAL:
            self.job.signal_foreground(terminal.parse_signal(body))
        elif not self.job.takes_input:
            self._refuse(attachment, "no_input", "this job has no input")
        elif kind == terminal.INPUT:
            self._typed(attachment, body)
        else:
            self.job.end_input()

    def _refuse(self, attachment: Attachment, kind: str, detail: str, **words: str) -> None:
        if kind == "read_only":
            self._tell_refused(attachment.connection, kind, attachment.id)
        if not attachment.told_refused:  # once: a held-down key is no reason for a thousand notices
            attachment.told_refused = True
            attachment.connection.say(terminal.notice(kind, detail, **words))

    # -- size ---------------------------------------------------------------------------------------------------------

    def _note_size(self, attachment: Attachment, columns: int, rows: int) -> None:
        if columns and rows:
            attachment.columns = min(columns, terminal.CELLS_MAX)
            attachment.rows = min(rows, terminal.CELLS_MAX)

    def _resize(self, columns: int, rows: int) -> None:
        """The size of the holder's terminal, where it has one.

        Before the program draws itself smaller: what larger terminals show beyond it would stay there."""
        if not columns:
            return
        if self.job.fills(columns, rows):
            for one in list(self.relay.live):
                if one.columns > columns or one.rows > rows:
                    one.connection.say(frame(terminal.RESTORE, outside(columns, rows, one.columns, one.rows)))
        self.job.resize(columns, rows)

    # -- output -------------------------------------------------------------------------------------------------------

    def settle(self) -> None:
        """Take those who could not take the last burst out of the relay's way."""
        fallen, self.relay.fallen = self.relay.fallen, []
        for attachment, burst, sent in fallen:
            self.relay.live.remove(attachment)
            if sent < 0:
                self._lost(attachment, None)
                attachment.connection.close()
                continue
            attachment.fell(burst, sent, self.relay.log.end)
            self.behind.add(attachment)

    def _stuck(self, attachment: Attachment) -> None:
        """A notice did not fit: output may not be put into its middle."""
        if attachment.live:
            attachment.live = False
            self.relay.live.remove(attachment)
            self.behind.add(attachment)
            attachment.connection.progress_at = time.monotonic()

    def must_pace(self) -> bool:
        """Is a living holder of control so far behind that the job should wait for it?"""
        one = self._holder
        if one is None or one not in self.behind or one.behind_bytes <= self.limits.pace_bytes:
            return False
        return time.monotonic() - one.connection.progress_at < self.limits.pace_s

    def _too_slow(self, attachment: Attachment, detail: str) -> None:
        self._leave(attachment, "slow")
        self._farewell(attachment, terminal.notice("slow", detail, cursor=attachment.cursor))

    def _upto_date(self, attachment: Attachment) -> None:
        self.behind.discard(attachment)
        if not attachment.live:
            attachment.live = True
            self.relay.live.append(attachment)
        self._changed()

    def _moved(self, attachment: Attachment) -> None:
        self._changed()

    def tell(self, frame: bytes) -> None:
        """Say something to everybody."""
        for one in list(self.present.values()):
            one.connection.say(frame)

    # -- leaving ------------------------------------------------------------------------------------------------------

    def detach(self, id: str, reason: str, words: str) -> bool:
        """Cut one attachment, tell it why, and let no ticket for it in any more. False: there is none."""
        self._admission.cut(id, now=time.time())
        attachment = self.present.get(id)
        if attachment is None:
            return False
        self._leave(attachment, reason)
        self._farewell(attachment, terminal.detach(reason, words))
        return True

    def _lost(self, attachment: Attachment, error: Exception | None) -> None:
        if isinstance(error, WireError):
            attachment.connection.say(terminal.error(error.code, str(error)))
        self._leave(attachment, "lost")

    def _leave(self, attachment: Attachment, reason: str) -> None:
        if self.present.get(attachment.id) is not attachment:
            return
        del self.present[attachment.id]
        self._drop(attachment)
        quiet = self.activity.quiet(attachment, now=time.monotonic_ns())
        self._report("detached", attachment=attachment.id, reason=reason, cursor=attachment.cursor, **quiet)
        self._changed()

    def _drop(self, attachment: Attachment) -> None:
        self.behind.discard(attachment)
        if attachment in self.relay.live:
            self.relay.live.remove(attachment)
        attachment.live = False
        if self.relay.typist is attachment:
            self.relay.typist = None

    def _farewell(self, attachment: Attachment, frame: bytes) -> None:
        """Say the last word and close, at the latest after farewell_s."""
        connection = attachment.connection
        attachment.closing = True
        connection.raw = None
        connection.frames = lambda kind, body: None
        connection.lost = lambda error: None
        connection.stuck = None
        connection.say(frame)
        if connection.is_idle:
            connection.close()
        else:
            self._parting.add(connection)
            self.loop.after(self.limits.farewell_s, lambda: self._parted(connection))

    def _parted(self, connection: Connection) -> None:
        connection.close()
        self._parting.discard(connection)
        self._changed()

    @property
    def is_parted(self) -> bool:
        """Has everybody who was cut got the last word, or had the time for it?"""
        return not any(connection.is_open for connection in self._parting)

    def end(self, outcome: dict[str, Any]) -> None:
        """Tell EXIT to everybody who has everything. Call again when somebody caught up."""
        for attachment in list(self.present.values()):
            if attachment not in self.behind and attachment.connection.is_idle:
                del self.present[attachment.id]
                self._drop(attachment)
                self._report("detached", attachment=attachment.id, reason="ended", cursor=attachment.cursor)
                self._farewell(attachment, terminal.message(terminal.EXIT, **outcome))
