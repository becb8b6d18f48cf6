"""`hawse status`."""

from __future__ import annotations

import time

import click

from hawse.cli.options import Connection, connected, json_option

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


@click.command()
@json_option
@connected(default="never")
def command(as_json: bool, connection: Connection) -> int:
    """Tell how the coordinator is: process, version, store, engine, how much it holds.

    \b
    hawse status
    """
    from hawse.cli.say import json_out, out
    from hawse.cli.table import facts
    from hawse.cli.words import duration

    server = connection.open()
    status = server.status()
    if as_json:
        json_out({**status.raw, "socket": server.transport.endpoint.path})
        return 0
    out(f"the coordinator is running: process {status.pid}, for {duration(time.time() - status.started_at)}")
    facts(
        [
            ("version", status.version),
            ("server" if server.transport.endpoint.is_remote else "socket", server.transport.endpoint.path),
            ("state", status.state_dir),
            ("store", f"{status.store}, version {status.store_version}"),
            ("engine", status.engine),
            ("instance", status.instance),
            ("leads", "" if status.leads else "no: another coordinator starts and follows the jobs"),
            ("host", status.host),
            ("sessions", f"{status.sessions} living"),
            ("jobs", f"{status.jobs} living"),
            *_site(status.raw),
        ],
        indent="  ",
    )
    return 0


def _site(raw: dict[str, Any]) -> list[tuple[str, str]]:
    """What only a site's service has."""
    from hawse.cli.words import duration

    told = [("listens", ", ".join(raw["listens"]))] if raw.get("listens") else []
    until = raw.get("certificate_expires_at")
    if until:
        left = until - time.time()
        told.append(("certificate", f"good for {duration(left)}" if left > 0 else "expired: clients refuse it"))
    return told
