"""`hawse proxy`, for its help: the console script goes to hawse.cli.proxy by itself."""

from __future__ import annotations

import click

from hawse.client.find import STARTS


@click.command()
@click.option("--server", metavar="ADDRESS", help="unix:PATH of a coordinator (default: HAWSE_SERVER, your own).")
@click.option("--start", type=click.Choice(STARTS), help="Start a coordinator where none runs (default: auto).")
@click.option("--runner", metavar="JOB", help="Lead to the runner of the job with this id instead.")
@click.option("--later", is_flag=True, help="Read the id of a job first, then lead to its runner.")
@click.option("--surroundings", is_flag=True, help="Tell what a login here gives to a job, and leave.")
@click.option("--stop", is_flag=True, help="Stop the coordinator, tell its process, and leave.")
def command(
    server: str | None, start: str | None, runner: str | None, later: bool, surroundings: bool, stop: bool
) -> int:
    """Be one link over ssh: standard input and output become the connection to the coordinator of this machine.

    `HAWSE_SERVER=ssh://host` runs it on that host, once for each link; nobody types it. It says one line, and then only
    what the coordinator says. The coordinator is started where none runs.

    \b
    ssh host hawse proxy
    """
    from hawse.cli.proxy.run import main

    words = [] if server is None else [f"--server={server}"]
    words += [] if start is None else [f"--start={start}"]
    words += [] if runner is None else [f"--runner={runner}"]
    words += ["--later"] if later else []
    words += ["--surroundings"] if surroundings else []
    main([*words, "--stop"] if stop else words)
