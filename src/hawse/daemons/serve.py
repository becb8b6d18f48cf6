"""Who meets whom in the coordinator: the ports make the world; REST and reconcilers live in it."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import resource
import signal
import socket
import time
import tomllib
from contextlib import AsyncExitStack
from dataclasses import dataclass

import uvloop

from hawse import __version__
from hawse.adapters.clock import SystemClock
from hawse.adapters.launch.local import LocalLauncher
from hawse.adapters.launch.parent import Parent
from hawse.adapters.log.files import LogFiles
from hawse.adapters.notify.all import notifiers
from hawse.adapters.people import HostPeople
from hawse.adapters.store.statements import migrations
from hawse.api.rest.desk import Desk
from hawse.api.rest.feed import Feeds
from hawse.api.rest.groups import groups_of
from hawse.api.rest.listener import Listener
from hawse.daemons.folders import listening_socket
from hawse.daemons.key import kept_key
from hawse.daemons.log_file import LogFile
from hawse.daemons.notify import STOPPING, notify
from hawse.daemons.site import SiteConfig
from hawse.domain.errors import InternalError, Invalid, Problem, Unavailable
from hawse.domain.places import Places
from hawse.ports.clock import Clock
from hawse.ports.store import Store
from hawse.runner.engine import ENGINE
from hawse.services.leader import Leader
from hawse.services.world import QUIET_S, World

log = logging.getLogger("hawse.coordinator")
KEY_FILE = "key"
POSTGRES = ("postgresql://", "postgres://")
GC_OBJECTS = 5000  # new ones between two looks for cycles: Python's 700 is less than some tens of requests under way


@dataclass(frozen=True, slots=True)
class Settings:
    """store: a URL, or None for what config.toml says, else SQLite.

    foreground: say what happens on stderr, too. background: stderr is our starter's until we serve, then the log's.
    site: of a site's service; None: a user's own coordinator.
    """

    places: Places
    store: str | None = None
    foreground: bool = False
    background: bool = False
    site: SiteConfig | None = None


def serve(settings: Settings) -> int:
    """Serve until SIGTERM or SIGINT; 0. Call it with the claims held. Raises Problem when it can't begin."""
    lines = opened_log(settings)
    root = logging.getLogger()
    root.addHandler(lines)
    root.setLevel(logging.INFO)
    descriptors = raise_descriptor_limit()
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_serve(settings, lines, descriptors))
    except Problem:
        raise
    except Exception as error:
        problem = _only_problem(error)
        if problem is not None:
            raise problem from error
        log.exception("the coordinator broke")
        raise InternalError(f"the coordinator broke; {settings.places.coordinator_log} has the traceback") from error
    finally:
        root.removeHandler(lines)
        lines.close()
    return 0


def opened_log(settings: Settings) -> LogFile:
    """Raises Unavailable."""
    site = settings.site
    path = settings.places.coordinator_log if site is None or site.log is None else site.log
    try:
        return LogFile(path, foreground=settings.foreground, bytes_max=None if site is None else site.log_bytes_max)
    except OSError as error:
        raise Unavailable(f"the log {path} cannot be written: {error.strerror}") from error


async def _serve(settings: Settings, lines: LogFile, descriptors: tuple[int, int]) -> None:
    places, stop = settings.places, asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    loop.add_signal_handler(signal.SIGHUP, lambda: None)  # a handler, not SIG_IGN: that would be inherited by every job
    clock = SystemClock()
    async with AsyncExitStack() as stack:
        url = store_url(settings)
        if places.instance and not url.startswith(POSTGRES):
            raise Invalid(
                f"a second coordinator ({places.instance}) needs a store that two can use",
                next_step="[store] url = postgresql://... in config.toml, for both",
            )
        store, kind = await opened_store(url, places, clock)
        stack.push_async_callback(store.aclose)
        world = made_world(
            store, clock, places, descriptors=descriptors, lease_s_max=lease_s_max(settings), site=settings.site
        )
        stack.push_async_callback(world.launcher.aclose)
        async with asyncio.TaskGroup() as tasks:
            leader = Leader(world)
            reconciler = tasks.create_task(leader.run(), name="reconciler")
            facts = facts_of(kind, places)
            desk = Desk(
                world=world, owner=os.getuid(), facts=facts, feeds=Feeds(store, tasks), log=lines.write,
                not_ready=lambda: leader.not_ready,
            )  # fmt: skip
            listener = Listener(desk, connections_max=settings.site.connections_max if settings.site else None)
            await asyncio.sleep(0)  # adoption begins
            await listener.start(listening_socket(places.socket))
            watch = None
            if settings.site is not None:
                from hawse.daemons.site_service import SiteService

                service = SiteService(settings.site, desk, lines, facts)
                stack.callback(service.close)
                await service.listen(listener)
                watch = tasks.create_task(service.watch(), name="certificate")
            if settings.background:
                lines.take_stderr()
            gc.collect()
            gc.freeze()  # what was imported is never looked at again
            gc.set_threshold(GC_OBJECTS, *gc.get_threshold()[1:])
            log.info("hawse %s serves %s (process %d, store %s)", __version__, places.socket, os.getpid(), kind)
            try:
                await stop.wait()
                log.info("stopping; jobs go on")
                notify(STOPPING)
            finally:
                await listener.aclose()
                reconciler.cancel()
                if watch is not None:
                    watch.cancel()
        os.unlink(places.socket)


def store_url(settings: Settings) -> str:
    """The store to use: the option, else config.toml, else SQLite. Raises Invalid."""
    if settings.store is not None:
        return settings.store
    try:
        with open(settings.places.config_file, "rb") as file:
            url = tomllib.load(file).get("store", {}).get("url", "sqlite")
    except FileNotFoundError:
        return "sqlite"
    except (OSError, tomllib.TOMLDecodeError, AttributeError) as error:
        raise Invalid(f"{settings.places.config_file} can't be read: {error}") from error
    if not isinstance(url, str):
        raise Invalid(f"{settings.places.config_file}: [store] url is a text")
    return url


async def opened_store(url: str, places: Places, clock: Clock) -> tuple[Store, str]:
    """The store and its kind. The URL may hold a password and is never told.

    Raises Invalid, NewerStore, Unavailable.
    """
    if url == "sqlite":
        from hawse.adapters.store.sqlite import SqliteStore

        return await SqliteStore.open(places.database, clock), "sqlite"
    if url.startswith(POSTGRES):
        try:
            from hawse.adapters.store.postgres import PostgresStore
        except ImportError as error:
            raise Invalid("PostgreSQL needs the extra pg", next_step="pip install 'hawse[pg]'") from error
        return await PostgresStore.open(url, clock), "postgresql"
    raise _unknown(url)


def _unknown(url: str) -> Invalid:
    return Invalid(f"the store {url.split(':')[0]!r} is not known; sqlite and postgresql://... are")


def look(url: str, places: Places) -> tuple[str, int]:
    """The store's kind and version (0: it is not there yet), found without changing it. Raises as `opened_store`."""
    if url == "sqlite":
        from hawse.adapters.store import sqlite_connection

        return "sqlite", sqlite_connection.look(places.database)
    if url.startswith(POSTGRES):
        from hawse.adapters.store import postgres_connection  # raises Unavailable without the extra pg

        return "postgresql", postgres_connection.look(postgres_connection.Address(url))
    raise _unknown(url)


def lease_s_max(settings: Settings) -> float | None:
    """How long a session may live: config.toml, [sessions] lease_s_max, in seconds; None without. Raises Invalid."""
    if settings.site is not None:
        return settings.site.lease_s_max
    try:
        with open(settings.places.config_file, "rb") as file:
            found = tomllib.load(file).get("sessions", {}).get("lease_s_max")
    except FileNotFoundError:
        return None
    except (OSError, tomllib.TOMLDecodeError, AttributeError) as error:
        raise Invalid(f"{settings.places.config_file} can't be read: {error}") from error
    if found is not None and (isinstance(found, bool) or not isinstance(found, (int, float)) or found <= 0):
        raise Invalid(f"{settings.places.config_file}: [sessions] lease_s_max is a number of seconds")
    return found


def quiet_s(places: Places) -> float:
    """How long a job is quiet before it is looked at: config.toml, [notices] quiet_s, in seconds. Raises Invalid."""
    try:
        with open(places.config_file, "rb") as file:
            found = tomllib.load(file).get("notices", {}).get("quiet_s", QUIET_S)
    except FileNotFoundError:
        return QUIET_S
    except (OSError, tomllib.TOMLDecodeError, AttributeError) as error:
        raise Invalid(f"{places.config_file} can't be read: {error}") from error
    if isinstance(found, bool) or not isinstance(found, (int, float)) or not 1 <= found <= 3600:
        raise Invalid(f"{places.config_file}: [notices] quiet_s is a number of seconds from 1 to 3600")
    return float(found)


def made_world(
    store: Store,
    clock: Clock,
    places: Places,
    *,
    descriptors: tuple[int, int],
    lease_s_max: float | None = None,
    site: SiteConfig | None = None,
) -> World:
    """The ports of this machine."""
    key = kept_key(f"{places.state}/{KEY_FILE}")
    if site is not None and site.helper is not None:
        from hawse.daemons.site_service import launcher_of, site_of

        tell, owners, logs = launcher_of(site, places, clock)
        made = World(
            store=store, launcher=owners, clock=clock, logs=logs, lease_s_max=lease_s_max, key=key, site=site_of(site)
        )
        tell(made)
        return made
    let_in = None
    if site is not None:
        from hawse.daemons.site_service import site_of

        let_in = site_of(site)
    parent = Parent(
        socket=places.parent_socket,
        jobs=places.jobs,
        runners=places.runners,
        log=places.runner_log,
        environment={"HAWSE_STATE_DIR": places.state},  # so that people, and tests, see whose it is
        descriptors=descriptors,
    )
    return World(
        store=store,
        launcher=LocalLauncher(parent, clock),
        clock=clock,
        logs=LogFiles(places.jobs),
        owner=f"uid:{os.getuid()}" if site is None else "",
        lease_s_max=lease_s_max,
        key=key,
        site=let_in,
        notifiers=notifiers(),
        people=HostPeople(groups_of),
        host=socket.gethostname(),
        quiet_s=quiet_s(places),
    )


def facts_of(kind: str, places: Places) -> dict[str, object]:
    """What /v1/status tells and what does not change."""
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
        boot_id = file.read().strip()
    return {
        "version": __version__,
        "pid": os.getpid(),
        "started_at": time.time(),
        "store": kind,
        "store_version": migrations("sqlite" if kind == "sqlite" else "postgres")[-1].number,
        "engine": ENGINE,
        "state_dir": places.state,
        "instance": places.instance,
        "host": socket.gethostname(),
        "boot_id": boot_id,
    }


def raise_descriptor_limit() -> tuple[int, int]:
    """A connection, a follower and a runner are each a descriptor; the usual soft limit is 1024.

    Returns the limit as it was: jobs shall have that one, since programs that use select(2) break with more.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return soft, hard


def _only_problem(error: Exception) -> Problem | None:
    """The one problem that a group of errors comes down to, if it does."""
    while isinstance(error, ExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error if isinstance(error, Problem) else None
