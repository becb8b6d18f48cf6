"""A notice to a command of the user's: JSON on stdin, the most needed in variables, nothing secret in argv."""

from __future__ import annotations

import msgspec

from hawse.adapters.notify.program import environment, run
from hawse.domain.notice import Notice
from hawse.ports.notifier import Parcel

COMMAND_S = 25.0  # below the deadline of a try, so that its end is told as its own
_encode = msgspec.json.Encoder().encode


def variables(notice: Notice, host: str) -> dict[str, str]:
    """HAWSE_NOTICE_*: what a shell script needs without a JSON reader."""
    session = notice.body.get("session") or {}
    return {
        "HAWSE_NOTICE_ID": notice.id,
        "HAWSE_NOTICE_KIND": notice.kind.value,
        "HAWSE_NOTICE_SUBJECT": notice.subject,
        "HAWSE_NOTICE_TEXT": notice.text,
        "HAWSE_NOTICE_COMMAND": notice.command,
        "HAWSE_NOTICE_SESSION": session.get("name", ""),
        "HAWSE_NOTICE_JOB": notice.body.get("job") or "",
        "HAWSE_NOTICE_HOST": host,
        "HAWSE_NOTICE_ATTEMPT": str(notice.attempts),
    }


class Command:
    """See ports/notifier.py. settings: argv. It runs as the coordinator's user, in his home folder."""

    async def send(self, parcel: Parcel) -> None:
        env = environment(variables(parcel.notice, parcel.host))
        await run(parcel.settings["argv"], env=env, data=_encode(parcel.document), timeout_s=COMMAND_S)
