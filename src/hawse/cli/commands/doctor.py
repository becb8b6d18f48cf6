"""`hawse doctor`."""

from __future__ import annotations

import sys

import click

from hawse.cli.options import Connection, connected, json_option

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hawse.cli.doctor.finding import Finding


def _findings(connection: Connection) -> list[Finding]:
    """Of a coordinator on this machine: what logout does, how it is, and what jobs need here."""
    from hawse.cli.doctor import coordinator, logout, machine
    from hawse.client.places import own_places

    of_coordinator, processes = coordinator.findings(connection)
    return [
        *logout.findings(processes=processes),
        logout.reboot_finding(),
        *of_coordinator,
        *machine.engine_findings(),
        *machine.places_findings(own_places()),
        *machine.limit_findings(),
        *machine.cgroup_findings(process=processes.get("", "self")),
        *machine.locale_findings(),
    ]


def _far_findings(connection: Connection) -> list[Finding]:
    """Of a server elsewhere: the way there, how it is, and what this machine's terminal needs."""
    from hawse.cli.doctor import coordinator, machine, server

    return [
        *server.findings(connection.place),
        *coordinator.findings(connection)[0],
        *machine.engine_findings(),
        *machine.locale_findings(),
    ]


@click.command()
@json_option
@connected(default="never")
def command(as_json: bool, connection: Connection) -> int:
    """Say what logout will do to your jobs and how to change it, which engine and store are in use, what is missing.

    With HAWSE_SERVER=ssh://host or https://host: how that server is reached, and how its coordinator is.

    Exits with 1 when something will not work.

    \b
    hawse doctor
    """
    from hawse.cli.doctor.finding import BAD, GOOD
    from hawse.cli.say import GREEN, RED, YELLOW, json_out, out, paint

    found = _far_findings(connection) if connection.place.is_remote else _findings(connection)
    bad = any(finding.level == BAD for finding in found)
    if as_json:
        json_out([finding.to_json() for finding in found])
        return 1 if bad else 0
    signs = {GOOD: ("ok  ", GREEN), BAD: ("BAD ", RED)}
    room = max(len(finding.subject) for finding in found)
    for finding in found:
        sign, colour = signs.get(finding.level, ("note", YELLOW))
        out(f"{paint(sign, colour, sys.stdout)}  {finding.subject:<{room}}  {finding.text}")
        if finding.advice:
            out(f"      {'':<{room}}  -> {finding.advice}")
    return 1 if bad else 0
