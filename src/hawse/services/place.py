"""In which project something happens, and whether there is room for it there.

A quota is looked at in the transaction that uses it, after `claim_project`: of several at once, each sees what the ones
before it committed, so none is over a quota by a race.
"""

from __future__ import annotations

from hawse.domain import project as projects
from hawse.domain.errors import Denied, NotFound
from hawse.domain.ids import checked_name
from hawse.domain.project import DEFAULT, Project, Use
from hawse.ports.store import Unit, View
from hawse.services.world import Caller, World


def stored(view: View, name: str) -> Project:
    """The project of this name; one that is there no more bounds nothing. Never raises NotFound."""
    try:
        return view.project(name)
    except NotFound:
        return projects.implied() if name == DEFAULT else projects.unknown(name)


def known(view: View, name: str) -> Project:
    """The project of this name. Raises NotFound."""
    if name == DEFAULT:
        return stored(view, name)
    try:
        return view.project(name)
    except NotFound as error:
        error.next_step = "hawse project ls lists yours"
        raise


def entered(unit: Unit, world: World, caller: Caller, name: str | None, *, jobs: bool) -> Project:
    """The project in which the caller begins a session, with a job or without, if he may and there is room.

    Raises NotFound, Denied, LimitReached, IllegalMove (it is retired).
    """
    project = known(unit, caller.project if name is None else checked_name(name, "the project's name"))
    if caller.only_project not in (None, project.name):
        raise Denied(f"this token is for project {caller.only_project} only", next_step="use another token of yours")
    if world.site is not None and not projects.is_member(project, caller.principals):
        raise Denied(
            f"you are no member of project {project.name}",
            next_step="hawse project ls lists yours; an admin can add you: hawse project set",
            project=project.name,
        )
    make_room(unit, project, sessions=1, jobs=int(jobs))
    return project


def make_room(unit: Unit, project: Project, *, sessions: int = 0, jobs: int = 0) -> None:
    """Is there room for so many more? Then nobody else takes it before this unit commits.

    Raises LimitReached, IllegalMove.
    """
    if project.sessions_max is None and project.jobs_max is None:
        projects.check_room(project, Use(0, 0), sessions=sessions, jobs=jobs)
        return
    unit.claim_project(project.name)
    projects.check_room(project, unit.use_of(project.name), sessions=sessions, jobs=jobs)


def lease_s_max(project: Project, everywhere: float | None) -> float | None:
    """How long a session there may live: the project's maximum, and the coordinator's; None: as long as one likes."""
    bounds = [bound for bound in (project.lease_s_max, everywhere) if bound is not None]
    return min(bounds, default=None)
