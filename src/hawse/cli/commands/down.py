"""`hawse down`."""

from __future__ import annotations

import click

from hawse.cli.say import json_out, out


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(as_json: bool) -> int:
    """Stop the coordinator. Jobs go on; the next command starts a coordinator that takes them over again.

    \b
    hawse down
    """
    from hawse.cli.progress import Progress
    from hawse.client.places import own_places
    from hawse.client.start import stop_coordinator

    with Progress("stopping the coordinator"):
        pid = stop_coordinator(own_places())
    if as_json:
        json_out({"stopped": pid})
    elif pid is None:
        out("no coordinator is running")
    else:
        out(f"the coordinator (process {pid}) has stopped; your jobs go on")
    return 0
