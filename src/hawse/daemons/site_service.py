"""What a site's service is beyond a user's own coordinator: its launcher, its sockets, its certificate, its signals."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import Callable
from typing import Any

from hawse.adapters.launch.as_user import AsUserLauncher, Helper
from hawse.adapters.log.as_user import OwnersLogFiles
from hawse.api.rest.desk import Desk
from hawse.api.rest.listener import Listener
from hawse.daemons.certificate import Certificate
from hawse.daemons.listen import shared_socket, tcp_socket
from hawse.daemons.log_file import LogFile
from hawse.daemons.notify import READY, notify, reloading
from hawse.daemons.site import SiteConfig
from hawse.domain.places import Places
from hawse.ports.clock import Clock
from hawse.ports.launcher import Launcher
from hawse.ports.log import LogReader
from hawse.services import identity
from hawse.services.world import Site, World

log = logging.getLogger("hawse.site")
DAY_S = 86400.0
RUN, STATE = "/run/hawse-jobs", "/var/lib/hawse-jobs"  # the helper's own defaults: daemons/as_user.py


def launcher_of(
    config: SiteConfig, places: Places, clock: Clock
) -> tuple[Callable[[World], None], Launcher, LogReader]:
    """The launcher and the logs of a site whose jobs run as their owners. The first is to be told the world, once."""
    assert config.helper is not None
    worlds: list[World] = []

    async def uid_of(principal: str) -> int | None:
        return await identity.uid_of(worlds[0], principal)

    launcher = AsUserLauncher(
        Helper(config.helper), clock, links_jobs=places.jobs, links_runners=places.runners,
        run=config.run or RUN, state=config.job_state or STATE, uid_of=uid_of,
    )  # fmt: skip
    return worlds.append, launcher, OwnersLogFiles(places.jobs)


def site_of(config: SiteConfig) -> Site:
    """What the services know of it."""
    days = config.token_days_max
    return Site(
        local_accounts=config.local_accounts,
        admins=config.admins,
        token_s_max=None if days is None else days * DAY_S,
    )


class SiteService:
    """The sockets of a site, and what SIGHUP does. Use `listen`, then `aclose` after the listener's."""

    def __init__(self, config: SiteConfig, desk: Desk, lines: LogFile, facts: dict[str, Any]) -> None:
        """Raises Invalid: the certificate cannot be used."""
        self._config = config
        self._desk = desk
        self._lines = lines
        self._facts = facts
        self._certificate = None if config.https is None else Certificate(config.https)
        desk.is_shared = True
        if config.helper is not None:
            desk.account_of = lambda principal: identity.uid_of(desk.world, principal)

    async def listen(self, listener: Listener) -> None:
        """Serve on the sockets. Raises Invalid, Denied, Unavailable."""
        told = []
        if self._config.unix is not None:
            await listener.start(shared_socket(self._config.unix))
            told.append(f"unix:{self._config.unix.path}")
        if self._config.https is not None and self._certificate is not None:
            bound = tcp_socket(self._config.https)
            host, port = bound.getsockname()[:2]
            listener.start_tls(bound, self._certificate.context)
            told.append(f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}")
        self._facts["listens"] = told
        self._tell_certificate()
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, self.reload)
        log.info("the site's service listens on %s", ", ".join(told))
        notify(READY, f"STATUS=serves {', '.join(told)}")

    def reload(self) -> None:
        """Read the certificate again, and go on in a new log file."""
        reloading()
        self._lines.reopen()
        if self._certificate is not None:
            self._certificate.reload()
            self._tell_certificate()
        notify(READY)

    async def watch(self) -> None:
        """Say in the log, once a day, that the certificate is about to expire. Returns only when cancelled."""
        while True:
            await self._desk.world.clock.sleep(DAY_S)
            self._tell_certificate()

    def close(self) -> None:
        """Remove the shared socket's name."""
        if self._config.unix is not None:
            try:
                os.unlink(self._config.unix.path)
            except OSError:
                pass

    def _tell_certificate(self) -> None:
        if self._certificate is not None:
            self._facts["certificate_expires_at"] = self._certificate.known.expires_at
            self._certificate.tell(self._desk.world.clock.now())
