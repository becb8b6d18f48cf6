"""`hawse doctor`."""

from __future__ import annotations

import sys

import click

from hawse.cli.options import Connection, connected, json_option


@click.command()
@json_option
@connected(default="never")
def command(as_json: bool, connection: Connection) -> int:
    """Say what logout will do to your jobs and how to change it, which engine and store are in use, what is missing.

    Exits with 1 when something will not work.

    \b
    hawse doctor
    """
    from hawse.cli.doctor import coordinator, logout, machine
    from hawse.cli.doctor.finding import BAD, GOOD
    from hawse.cli.say import GREEN, RED, YELLOW, json_out, out, paint
    from hawse.client.places import own_places

    of_coordinator, processes = coordinator.findings(connection)
    found = [
        *logout.findings(processes=processes),
        logout.reboot_finding(),
        *of_coordinator,
        *machine.engine_findings(),
        *machine.places_findings(own_places()),
        *machine.limit_findings(),
        *machine.cgroup_findings(process=processes.get("", "self")),
        *machine.locale_findings(),
    ]
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
