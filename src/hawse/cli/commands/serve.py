"""`hawse serve`."""

from __future__ import annotations

import os
import sys

import click


@click.command(context_settings={"ignore_unknown_options": True, "help_option_names": []}, add_help_option=False)
@click.argument("words", nargs=-1, type=click.UNPROCESSED, metavar="")
def command(words: tuple[str, ...]) -> int:
    """Run the coordinator in the foreground. `hawse serve --help` lists its options.

    Other commands start it in the background by themselves.

    \b
    hawse serve --foreground
    """
    from hawse.client.start import command as start_command

    argv = [*start_command(), *words]
    sys.stdout.flush()
    os.execv(argv[0], argv)
