"""How much there is, from the statements of sql/census.sql."""

from __future__ import annotations

from collections.abc import Callable

from hawse.adapters.store.rows import Columns, Parameters
from hawse.ports.store import Census


def census(all_rows: Callable[[str, Parameters], list[Columns]], now: float) -> Census:
    """See View.census. all_rows: runs a named statement."""
    sessions: dict[str, int] = dict(all_rows("census_sessions_living", {}))
    jobs: dict[str, int] = dict(all_rows("census_jobs_living", {}))
    ((ended,),) = all_rows("census_sessions_ended", {})
    ((every_job,),) = all_rows("census_jobs_all", {})
    ended_jobs = every_job - sum(jobs.values())
    ((waiting,),) = all_rows("census_effects", {})
    return Census(
        sessions=sessions | ({"ended": ended} if ended else {}),
        jobs=jobs | ({"ended": ended_jobs} if ended_jobs else {}),
        attachments={(mode, state): count for mode, state, count in all_rows("census_attachments", {})},
        leases={project: (count, until) for project, count, until in all_rows("census_leases", {})},
        waiting=waiting,
        due={kind: (count, at) for kind, count, at in all_rows("census_effects_due", {"now": now})},
    )
