"""Whether a job that failed is started again, as its error policy says."""

from __future__ import annotations

import time

from hawse.cli.words import moment

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hawse.cli.attach.view import View

COMMIT_S_MAX = 2.0  # the runner says that it ended a moment before that is stored
LOOK_S = 0.02


def next_attempt(view: View) -> str:
    """When its next attempt starts, in words; "" for a job that is over, or of which nothing is known."""
    if view.outcome is None or view.outcome.kind == "lost" or view.outcome.exit_code == 0:
        return ""
    from hawse.domain.errors import Problem

    seen, deadline = view.job.info.attempt, time.monotonic() + COMMIT_S_MAX
    while time.monotonic() < deadline:
        try:
            info = view.job.refresh()
        except Problem:
            return ""
        if info.is_over:
            return ""
        if info.state == "pending" and info.start_at is not None:
            return f"attempt {info.attempt} starts {moment(info.start_at)}"
        if info.attempt > seen:
            return f"attempt {info.attempt} runs"
        time.sleep(LOOK_S)
    return ""
