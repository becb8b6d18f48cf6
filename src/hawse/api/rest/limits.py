"""Every bound of the REST interface that is not a rule of the domain."""

from __future__ import annotations

BODY_BYTES_MAX = 4 * 1024 * 1024  # argv and environment fit execve's 2 MiB; base64 makes them a third larger
HEAD_BYTES_MAX = 32 * 1024  # request line and headers; ours are below 1 KiB
KEY_LENGTH_MAX = 128  # an Idempotency-Key; a UUID has 36
INTEGER_MAX = 2**53 - 1  # what every JSON reader keeps exact (RFC 8259, section 6)
TIME_MAX = 32_503_680_000.0  # Unix seconds; the year 3000
PAGE_DEFAULT = 100
PAGE_MAX = 1000
WAIT_S_MAX = 60.0  # one long poll; the client asks again
ENV_MAX = 10_000
ARGV_MAX = 100_000
TEXT_LENGTH_MAX = BODY_BYTES_MAX  # one argument: the body's own bound
WHERE_LENGTH_MAX = 200
REASON_LENGTH_MAX = 1000
DAMAGED_MAX = 50  # ranges told in one header
SPANS_MAX = 100  # changes between stdout and stderr told with one piece of a log

SILENT_S = 10.0  # from the connection, or a request's first byte, to its last header
BODY_S = 60.0  # from the last header to the body's end
IDLE_S = 120.0  # between two requests of one connection
STALL_S = 30.0  # how long a reader may leave its full buffer untouched; then it is cut
LINGER_S = 2.0  # what a refused client still sends is read for so long, or the answer could be lost on its way
HEARTBEAT_S = 15.0  # proxies and clients take a minute's silence for a broken link
STOP_S = 5.0  # for requests under way when the coordinator stops
CONNECTIONS_MAX = 4096
LINKS_MAX = 1024  # streams to runners: each has two descriptors
DESCRIPTORS_KEPT = 256  # of the process: for the store, logs and runners
