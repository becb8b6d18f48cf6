"""`hawse`: the table of commands and the one place where errors become words and exit codes."""

from __future__ import annotations

import errno
import os
import sys
from importlib import import_module

import click

from hawse.domain.errors import Problem

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import NoReturn

EXIT_USAGE = 64  # EX_USAGE of sysexits(3)
EXIT_NOT_WRITTEN = 74  # EX_IOERR
NOT_WRITTEN = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})  # write(2)
EXIT_READER_LEFT = 141  # 128 + SIGPIPE
EXIT_INTERRUPTED = 130  # 128 + SIGINT, as a shell tells it

# name: what it does. `hawse NAME` imports hawse.cli.commands.NAME and nothing of the others.
COMMANDS = {
    "new": "Start a session around a command and attach to it.",
    "run": "Run a further command in a session.",
    "attach": "Show a job on this terminal and type into it.",
    "who": "Show who is attached to a session, and who has control.",
    "take": "Take control of a job for your own attachment.",
    "detach": "Detach somebody from a session; the work goes on.",
    "share": "Give somebody a role in a session.",
    "unshare": "Take back what somebody may do in a session.",
    "redeem": "Take the role that a link gives.",
    "notify": "Be told of what happens: webhook, mail, command, desktop.",
    "ls": "List sessions.",
    "show": "Show everything about a session or a job.",
    "logs": "Print what a job printed.",
    "replay": "Play what a job printed, at its pace.",
    "events": "Print a session's events.",
    "history": "List ended sessions.",
    "extend": "Let a session end later.",
    "policy": "Show and set what follows what in a session; what each role may.",
    "end": "Stop a session's jobs in order and end it.",
    "wait": "Wait for a job's end and exit with its code.",
    "signal": "Send a signal to a job.",
    "describe": "Change a session's description, labels or name.",
    "user": "Say who may come in at a site service.",
    "token": "Make and revoke what you show from another machine.",
    "project": "Say which sessions count together, and their quotas.",
    "audit": "Print who changed a right or ended something.",
    "status": "Tell how the coordinator is.",
    "doctor": "Check what could go wrong on this machine.",
    "serve": "Run the coordinator in the foreground, or a site's service.",
    "ca": "Make certificates for a site's service.",
    "down": "Stop the coordinator; jobs go on.",
    "proxy": "Be one link over ssh to the coordinator of this machine.",
    "completion": "Print the completion script for a shell.",
}

# What other programs call it, and how it is done here.
ELSEWHERE = {
    "create": "hawse new NAME",
    "exec": "hawse run NAME -- COMMAND",
    "help": "hawse --help; hawse COMMAND --help",
    "inspect": "hawse show NAME",
    "join": "hawse attach NAME",
    "kill": "hawse end NAME; hawse signal NAME/JOB KILL",
    "list": "hawse ls",
    "ps": "hawse ls; hawse show NAME",
    "rename": "hawse describe NAME --rename NEW",
    "resume": "hawse attach NAME",
    "rm": "hawse end NAME",
    "start": "hawse new NAME; hawse run NAME -- COMMAND",
    "stop": "hawse end NAME; hawse signal NAME/JOB TERM",
    "tail": "hawse logs -f NAME",
}


class ReaderLeft(Exception):
    """Nobody reads our output any more (`hawse logs x | head`)."""


class Commands(click.Group):
    """A group that imports a command when it is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the table's order: as one meets them."""
        return list(COMMANDS)

    def invoke(self, ctx: click.Context) -> object:
        """As click's, but a reader that left is told by the code that a shell knows, not by 1."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            raise ReaderLeft from None

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command, from its module."""
        if cmd_name not in COMMANDS:
            return None
        found = import_module(f"hawse.cli.commands.{cmd_name}").command
        assert isinstance(found, click.Command)
        return found

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click's, with a guess at what was meant."""
        name = args[0] if args else ""
        if name and not name.startswith("-") and name not in COMMANDS and not ctx.resilient_parsing:
            from hawse.client.names import did_you_mean
            from hawse.domain.errors import Invalid

            if name in ELSEWHERE:
                step = f"perhaps: {ELSEWHERE[name]}; all commands: hawse --help"
                raise Invalid(f"there is no command {name!r}", next_step=step)
            near = did_you_mean(name, COMMANDS)
            raise Invalid(f"there is no command {name!r}{near}", next_step="hawse --help lists the commands")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """From the table: help imports no command."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


def _version(ctx: click.Context, _param: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        from hawse import __version__

        click.echo(f"hawse {__version__}")
        ctx.exit()


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_version, help="Print the version."
)
def group() -> None:
    """Name a piece of work once; it stays while you come and go.

    A session holds jobs. They run on when you detach, close the terminal or log out; come back with `hawse attach`.
    In a session's own job, NAME may be left out for run, show, logs, events, who, describe and detach.

    \b
    hawse new demo -- vim notes.txt     start a session, attach to it; Ctrl-\\ d detaches
    hawse ls                            what is there
    hawse attach demo                   come back
    """


def run(arguments: Sequence[str]) -> int:
    """Do one command; its exit code. What goes wrong has been said on stderr."""
    try:
        code = group.main(args=list(arguments), prog_name="hawse", standalone_mode=False)
        return code if isinstance(code, int) else 0
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message())
        return EXIT_USAGE
    except click.ClickException as error:
        from hawse.cli.say import problem
        from hawse.cli.usage import usage_problem

        problem(usage_problem(error), is_usage=True)
        return EXIT_USAGE
    except (click.Abort, KeyboardInterrupt):
        return EXIT_INTERRUPTED
    except Problem as error:
        from hawse.cli.say import problem

        problem(error)
        return error.exit
    except (ReaderLeft, BrokenPipeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what is still buffered goes nowhere
        return EXIT_READER_LEFT
    except OSError as error:
        return _not_written(error) if _is_output(error) else _our_mistake(error)
    except Exception as error:
        return _our_mistake(error)


def _is_output(error: OSError) -> bool:
    """Did our own output fail? Files have names; a full one of another kind was told as a Problem before."""
    return error.filename is None and error.errno in NOT_WRITTEN


def _not_written(error: OSError) -> int:
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what is still buffered goes nowhere
    try:
        sys.stderr.write(f"hawse: the output cannot be written: {error.strerror}\n")
        sys.stderr.flush()
    except OSError:
        pass  # that is where it can't be written
    return EXIT_NOT_WRITTEN


def _our_mistake(error: Exception) -> int:
    """Something that no command foresaw: say so in a sentence; the traceback only for who asks for it."""
    from hawse.cli.say import problem
    from hawse.domain.errors import InternalError

    if os.environ.get("HAWSE_DEBUG"):
        import traceback

        traceback.print_exception(error)
    told = InternalError(
        f"hawse made a mistake ({type(error).__name__}: {error}); please report it",
        next_step="HAWSE_DEBUG=1 shows where; your jobs are not touched",
    )
    problem(told)
    return told.exit


def open_standard() -> None:
    """Standard input, output and error that the caller had closed are /dev/null, as POSIX allows: else the next file
    that is opened would be taken for them.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            os.open(os.devnull, os.O_RDWR)  # the lowest free number: this one
            setattr(sys, name, os.fdopen(number, "w" if number else "r", closefd=False))


def main() -> NoReturn:
    """The console script."""
    open_standard()
    code = run(sys.argv[1:])
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        code = code or EXIT_READER_LEFT
    except OSError as error:
        code = _not_written(error)
    try:
        sys.stderr.flush()
    finally:
        os._exit(code)  # nothing is left to do; taking the interpreter apart would cost 5 ms


if __name__ == "__main__":
    main()
