"""Every wait, count and size of a runner, with its reason. An order may override them (tests, sites): `limits`."""

from __future__ import annotations

DEFAULTS: dict[str, float] = {
    # connections
    "entry_s": 10,  # to say HELLO; a client on the same host needs a millisecond
    "entries_max": 64,  # connections that said nothing yet; the oldest is cut
    "attachments_max": 256,  # clients of one job; each costs a descriptor and at most one frame
    "nonces_max": 4096,  # tickets live about a minute; more than 60 entries a second is no person
    "cuts_max": 4096,  # attachments that were cut; as for nonces
    "refused_s": 60,  # the same refusal is reported once in this time, with a count
    "queue_bytes_max": 256 * 1024,  # notices and answers for one client, not output
    "input_bytes_max": 64 * 1024,  # typed and not yet read by the job; then the client's socket is left alone
    # pacing and slow readers
    "pace_bytes": 1024 * 1024,  # a controller this far behind slows the job: Ctrl-C must not drown in old output
    "pace_s": 2,  # without progress for this long it paces no more: a dead client never blocks work
    "slow_bytes": 8 * 1024 * 1024,  # a terminal this far behind shows nothing that anybody reads
    "slow_s": 60,  # and without progress for so long: it is told and cut
    "follow_s": 600,  # a reader is never skipped ahead, only cut when it stalls; it comes back at its byte
    "farewell_s": 2,  # for the last words to a client that is being cut
    # the log
    "index_s": 0.25,  # after the first byte of a burst: checksums, times and the screen's state are taken
    "index_bytes": 4 * 1024 * 1024,  # or as soon as so much is not indexed
    "retry_s": 1,  # a full disk is tried again this often
    "room_bytes": 1024 * 1024,  # so much must be free before dropping ends: else a gap every second
    # the end
    "drain_s": 2,  # for the last output, while somebody else still holds the terminal open
    "forget_s": 10,  # for the coordinator to commit the end
    "linger_s": 5,  # for a coordinator that has not come yet: a job may end before its start was answered
    "drain_clients_s": 30,  # for clients to take the last bytes; they can be read from the log afterwards
    "left_behind_max": 100,  # entries told; all are stopped
    "reports_max": 256,  # not acknowledged; beyond that one `state` replaces them
}


class Limits:
    """The limits as attributes."""

    __slots__ = tuple(DEFAULTS)

    def __init__(self, overrides: dict[str, float]) -> None:
        for name, value in DEFAULTS.items():
            setattr(self, name, overrides.get(name, value))

    def __getattr__(self, name: str) -> float:  # only for type checkers: the slots answer first
        raise AttributeError(name)
