"""The verbs of projects: add, change, retire, revive, page. Changing is for admins; members see theirs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hawse.domain import project as projects
from hawse.domain.errors import Conflict, Denied, NotFound
from hawse.domain.project import DEFAULT, Project, Use
from hawse.ports.store import Unit, View
from hawse.services import audit
from hawse.services.clock import watch
from hawse.services.gate import check_admin
from hawse.services.place import known
from hawse.services.world import Caller, World, once

SESSIONS_PAGE = 1000


@dataclass(frozen=True, slots=True)
class ProjectView:
    """A project with what of its quota is used."""

    project: Project
    use: Use


async def add(world: World, caller: Caller, name: str, facts: Mapping[str, Any]) -> ProjectView:
    """A new project. facts: sessions_max, jobs_max, lease_s, lease_s_max, policies, members, about.

    Raises Denied, Invalid, TooLarge, Clash.
    """
    check_admin(caller)
    made = projects.created(name=name, by=caller.principal, now=world.clock.now(), **facts)

    def verb(unit: Unit) -> ProjectView:
        return _kept(world, unit, caller, None, made, "project.created")

    return await once(world, caller, verb)


async def get(world: World, caller: Caller, name: str) -> ProjectView:
    """One project, for its members and for admins. Raises NotFound, Denied."""

    def query(view: View) -> ProjectView:
        found = known(view, name)
        if not _may_see(world, caller, found):
            raise Denied(f"you are no member of project {name}", next_step="hawse project ls lists yours")
        return ProjectView(found, view.use_of(name))

    return await world.store.read(query)


async def page(world: World, caller: Caller, *, after: str, limit: int) -> tuple[list[ProjectView], str | None]:
    """Projects by name that the caller may see, and where the next page begins. Raises Invalid."""

    def query(view: View) -> tuple[list[ProjectView], str | None]:
        found = view.projects(after=after, limit=limit)
        following = found[-1].name if len(found) == limit else None
        if after < DEFAULT and (following is None or following > DEFAULT) and all(one.name != DEFAULT for one in found):
            found = sorted([*found, projects.implied()], key=lambda one: one.name)
        return [ProjectView(one, view.use_of(one.name)) for one in found if _may_see(world, caller, one)], following

    return await world.store.read(query)


async def change(
    world: World, caller: Caller, name: str, facts: Mapping[str, Any], *, version: int | None = None
) -> ProjectView:
    """Other limits, policies, words; members: all of them, or members_added, members_dropped. What lives stays as it
    is, but policies count at once.

    Raises NotFound, Denied, Invalid, TooLarge, Conflict.
    """
    check_admin(caller)

    def verb(unit: Unit) -> ProjectView:
        before = known(unit, name)
        if version is not None and before.version != version:
            raise Conflict(f"project {name} is at version {before.version}, not {version}", version=before.version)
        wanted = dict(facts)
        added, dropped = wanted.pop("members_added", ()), wanted.pop("members_dropped", ())
        if added or dropped:
            members = set(wanted.get("members", before.members))
            absent = sorted(set(dropped) - members)
            if absent:
                raise NotFound(f"{absent[0]} is no member of project {name}", next_step=f"hawse project show {name}")
            wanted["members"] = (members | set(added)) - set(dropped)
        return _kept(world, unit, caller, before, projects.changed(before, **wanted), "project.changed")

    return await once(world, caller, verb)


async def retire(world: World, caller: Caller, name: str) -> ProjectView:
    """No session begins in it any more; those that live go on. Safe to repeat. Raises NotFound, Denied."""
    check_admin(caller)

    def verb(unit: Unit) -> ProjectView:
        before = known(unit, name)
        return _kept(world, unit, caller, before, projects.retired(before), "project.retired")

    return await once(world, caller, verb)


async def revive(world: World, caller: Caller, name: str) -> ProjectView:
    """Sessions may begin in it again. Safe to repeat. Raises NotFound, Denied."""
    check_admin(caller)

    def verb(unit: Unit) -> ProjectView:
        before = known(unit, name)
        return _kept(world, unit, caller, before, projects.revived(before), "project.revived")

    return await once(world, caller, verb)


def _kept(
    world: World, unit: Unit, caller: Caller, before: Project | None, after: Project, kind: str
) -> ProjectView:
    is_implied = before is not None and before.name == DEFAULT and not _is_there(unit, DEFAULT)
    kept = unit.put(None if is_implied else before, after) if before != after else after
    assert isinstance(kept, Project)
    if before != after:
        if before is not None and before.policies != after.policies:
            _watch_again(unit, kept.name, now=world.clock.now())
        audit.record(unit, caller, kind, "project", after.name, _told(before, after))
    return ProjectView(kept, unit.use_of(kept.name))


def _is_there(view: View, name: str) -> bool:
    try:
        view.project(name)
    except NotFound:
        return False
    return True


def _watch_again(unit: Unit, project: str, *, now: float) -> None:
    """Its policies start and stop clocks of its sessions."""
    after = ""
    while page := unit.sessions(project=project, living=True, after=after, limit=SESSIONS_PAGE):
        after = page[-1].id
        for session in page:
            watch(unit, session, now=now, fresh=True)


def _may_see(world: World, caller: Caller, project: Project) -> bool:
    if caller.only_project not in (None, project.name):
        return False
    return caller.is_admin or world.site is None or projects.is_member(project, caller.principals)


def _told(before: Project | None, after: Project) -> dict[str, object]:
    """What is different, for the audit log."""
    names = ("state", "sessions_max", "jobs_max", "lease_s", "lease_s_max", "policies", "members", "about")
    return {
        name: list(value) if isinstance(value := getattr(after, name), tuple) else value
        for name in names
        if before is None or getattr(before, name) != getattr(after, name)
    }


