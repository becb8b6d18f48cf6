"""Open a window, as a person would: run COMMAND on a terminal of its own, look at it, and leave with the detach key.

    python3 examples/window.py SECONDS COMMAND...      look for so long, then press Ctrl-\\ d; 0: stay to its end

Prints a line of what is shown each second, and at the end the last lines. Exits with COMMAND's code.
"""

import os
import pty
import re
import select
import struct
import sys
import termios
import time
from fcntl import ioctl

KEY = b"\x1cd"
ROWS, COLUMNS, LINES_SHOWN = 24, 80, 4
BYTES_KEPT = 16 * 1024
# sequences that move and colour, window titles, and what else is no text
NO_TEXT = re.compile(rb"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[ -/]*[0-~]|[\x00-\x09\x0b-\x1f]")


def lines(shown: bytes) -> list[str]:
    return [line.decode(errors="replace") for line in NO_TEXT.sub(b"", shown).split(b"\n") if line.strip()]


def main() -> int:
    seconds, command = float(sys.argv[1]), sys.argv[2:]
    pid, window = pty.fork()
    if pid == 0:
        ioctl(1, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        os.environ["TERM"] = "xterm"
        os.execvp(command[0], command)
    began, told, shown, has_left = 0.0, 0, b"", False
    while True:
        if select.select([window], [], [], 0.1)[0]:
            try:
                shown = (shown + os.read(window, 65536))[-BYTES_KEPT:]
            except OSError:  # EIO: it has ended, and all is read
                break
            began = began or time.monotonic()  # what it takes to start is not looking
        passed = time.monotonic() - began if began else 0.0
        if seconds and passed >= seconds and not has_left:
            tell(lines(shown)[-LINES_SHOWN:])
            print("    (Ctrl-\\ d is pressed)")
            shown, has_left = b"", True
            os.write(window, KEY)
        elif int(passed) > told and not has_left:
            told = int(passed)
            tell(lines(shown)[-1:])
    tell(lines(shown)[-LINES_SHOWN if not has_left else -1 :])
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def tell(shown: list[str]) -> None:
    for line in shown:
        print("    |", line, flush=True)


sys.exit(main())
