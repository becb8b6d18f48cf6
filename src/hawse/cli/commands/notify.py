"""`hawse notify`."""

from __future__ import annotations

import click

from hawse.cli.options import Connection, Numbers, connected, json_option
from hawse.cli.say import json_out, note, out

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeVar

    from click.shell_completion import CompletionItem

    from hawse.client.records_notices import ChannelInfo, NoticeInfo

    F = TypeVar("F", bound=Callable[..., Any])

KINDS = (
    "job_started", "job_ended", "job_failed", "job_lost", "job_waits", "lease_ends", "connect_by", "taken_over",
    "shared", "refused", "session_ended",
)  # fmt: skip
DISPLAY_VARIABLES = ("DBUS_SESSION_BUS_ADDRESS", "DISPLAY", "WAYLAND_DISPLAY", "XDG_RUNTIME_DIR")
SECRET_BYTES_MAX = 4096  # of a file that holds one; longer ones are something else
EXIT_FAILED = 1


def complete_channel(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem[str]]:
    """Names of channels that begin so."""
    from hawse.cli.completion import channels

    return channels(incomplete)


def complete_failed(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem[str]]:
    """Ids of notices that failed."""
    from hawse.cli.completion import failed_notices

    return failed_notices(incomplete)


channel_argument = click.argument("name", metavar="CHANNEL", shell_complete=complete_channel)


def wishes(command: F) -> F:
    """Adds --name, --kind, --session, --json and the connection to a command that adds a channel."""
    for option in (
        connected(),
        json_option,
        click.option(
            "--session", "sessions", multiple=True, metavar="PATTERN",
            help="Only sessions of this name (* and ? as in file names), or KEY=VALUE of a label.",
        ),
        click.option(
            "--kind", "kinds", multiple=True, type=click.Choice(KINDS), metavar="KIND",
            help="Only this kind (default: all but job_started); hawse notify kinds lists them.",
        ),
        click.option("--name", metavar="NAME", help="What to call the channel (default: after its kind)."),
    ):  # fmt: skip
        command = option(command)
    return command


@click.group()
def command() -> None:
    """Be told of what happens: by webhook, mail, a command of yours, or on the desktop.

    A channel tells of every session that you may see: your own, and what others share with you. Each notice carries
    the exact command to type.

    \b
    hawse notify add desktop
    hawse notify add mail you@example.org --host smtp.example.org
    hawse notify test mail                 does it come?
    hawse notify log                       what was told, what failed
    """


# -- add --------------------------------------------------------------------------------------------------------------


@command.group()
def add() -> None:
    """Add a channel.

    \b
    hawse notify add webhook https://hooks.example.org/hawse
    hawse notify add command -- /home/you/bin/told
    hawse notify add desktop --kind job_waits --kind job_failed
    """


@add.command()
@click.argument("url", metavar="URL")
@click.option("--secret-file", metavar="FILE", help="The signing key (whsec_...) to use; - is standard input.")
@wishes
def webhook(url: str, secret_file: str | None, **asked: Any) -> int:
    """POST each notice to a URL, as JSON, signed (Standard Webhooks).

    Without --secret-file a signing key is made and shown once; the receiver checks the signature with it.

    \b
    hawse notify add webhook https://hooks.example.org/hawse
    hawse notify add webhook http://127.0.0.1:9000/ --name desk --kind job_waits
    """
    return _add("webhook", {"url": url}, _secret(secret_file, "the signing key"), **asked)


@add.command()
@click.argument("recipients", nargs=-1, required=True, metavar="ADDRESS...")
@click.option("--host", required=True, metavar="HOST", help="The mail server.")
@click.option("--port", type=Numbers(1, 65535, whole=True), metavar="N", help="Default: 587, 465 (tls), 25 (none).")
@click.option(
    "--security", type=click.Choice(("starttls", "tls", "none")), default="starttls", show_default=True,
    help="How the connection is protected.",
)  # fmt: skip
@click.option("--from", "sender", metavar="ADDRESS", help="The sender (default: the first recipient).")
@click.option("--login", metavar="USER", help="Log in as this user.")
@click.option("--password-file", metavar="FILE", help="Read the password from its first line, at each mail.")
@click.option("--password-from", metavar="FILE", help="Read the password now and keep it; - is standard input.")
@wishes
def mail(
    recipients: tuple[str, ...],
    host: str,
    port: int | None,
    security: str,
    sender: str | None,
    login: str | None,
    password_file: str | None,
    password_from: str | None,
    **asked: Any,
) -> int:
    """Send each notice as a mail.

    \b
    hawse notify add mail you@example.org --host smtp.example.org --login you --password-file ~/.mailpass
    hawse notify add mail you@example.org --host localhost --security none
    """
    import os

    settings = {
        "recipients": list(recipients), "host": host, "port": port, "security": security, "sender": sender,
        "login": login, "password_file": os.path.abspath(password_file) if password_file else None,
    }  # fmt: skip
    settings = {name: value for name, value in settings.items() if value is not None}
    return _add("mail", settings, _secret(password_from, "the password"), **asked)


@add.command("command", context_settings={"ignore_unknown_options": True})
@wishes
@click.argument("argv", nargs=-1, required=True, metavar="-- COMMAND...", type=click.UNPROCESSED)
def command_(argv: tuple[str, ...], **asked: Any) -> int:
    """Run a command for each notice, as you, on the coordinator's machine, in your home folder.

    It gets the notice as JSON on standard input and in variables HAWSE_NOTICE_SUBJECT, _TEXT, _COMMAND, _KIND, _ID,
    _SESSION, _JOB, _HOST and _ATTEMPT. It has to end with 0 within 25 s; otherwise it is run again later.

    \b
    hawse notify add command -- /home/you/bin/told
    hawse notify add command -- sh -c 'printf "%s\\n" "$HAWSE_NOTICE_SUBJECT" >> ~/told.txt'
    """
    return _add("command", {"argv": list(argv)}, None, **asked)


@add.command()
@wishes
def desktop(**asked: Any) -> int:
    """Show each notice on the desktop of the coordinator's machine.

    Where your desktop is, is taken from this terminal's environment.

    \b
    hawse notify add desktop --kind job_waits
    """
    import os

    found = {name: os.environ[name] for name in DISPLAY_VARIABLES if os.environ.get(name)}
    if not found:
        note("there is no desktop in this terminal's environment; hawse notify test will tell whether there is one")
    return _add("desktop", {"environment": found}, None, **asked)


def _add(
    means: str,
    settings: dict[str, Any],
    secret: str | None,
    *,
    name: str | None,
    kinds: tuple[str, ...],
    sessions: tuple[str, ...],
    as_json: bool,
    connection: Connection,
) -> int:
    made = connection.open().notices.add(
        means, settings, name=name, kinds=kinds or None, sessions=sessions, secret=secret
    )
    if as_json:
        json_out(made.raw)
        return 0
    out(f"channel {made.name} is on")
    if made.secret:
        out(f"signing key: {made.secret}")
        note("the key is shown only now; the receiver needs it to check the signature")
    note(f"try it with: hawse notify test {made.name}")
    return 0


def _secret(path: str | None, what: str) -> str | None:
    """The first line of a file, or of standard input. Its words never stand in an error."""
    import os
    import sys

    from hawse.domain.errors import Invalid

    if path is None:
        return None
    try:
        if path == "-":
            data = sys.stdin.buffer.readline(SECRET_BYTES_MAX)
        else:
            with open(os.path.expanduser(path), "rb") as file:
                data = file.readline(SECRET_BYTES_MAX)
        text = data.decode().strip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        words = getattr(error, "strerror", None) or "it is not UTF-8"
        raise Invalid(f"{what} cannot be read from {path}: {words}") from None
    if not text:
        raise Invalid(f"{what} in {path} is empty: it is its first line")
    return text


# -- look -------------------------------------------------------------------------------------------------------------


@command.command()
@json_option
@connected()
def ls(as_json: bool, connection: Connection) -> int:
    """List your channels.

    \b
    hawse notify ls
    """
    from hawse.cli.table import table

    found = connection.open().notices.channels()
    if as_json:
        json_out([one.raw for one in found])
    elif not found:
        note("you have no channel; hawse notify add --help shows how to get one")
    else:
        rows = [
            (one.name, one.means, one.state, _count(one.waiting), _count(one.failed), _tells(one), _where(one))
            for one in found
        ]
        table(("CHANNEL", "KIND", "IS", "WAITING", "FAILED", "TELLS", "WHERE"), rows)
    return 0


def _count(number: int) -> str:
    return str(number) if number else "-"


def _tells(channel: ChannelInfo) -> str:
    usual = {kind for kind in KINDS if kind != "job_started"}
    what = "all" if set(channel.kinds) == usual else f"{len(channel.kinds)} kinds"
    what = channel.kinds[0] if len(channel.kinds) == 1 else what
    return what + (f" of {len(channel.sessions)} patterns" if len(channel.sessions) > 1 else "") + (
        f" of {channel.sessions[0]}" if len(channel.sessions) == 1 else ""
    )


def _where(channel: ChannelInfo) -> str:
    settings = channel.settings
    match channel.means:
        case "webhook":
            return str(settings.get("url", ""))
        case "mail":
            return f"{', '.join(settings.get('recipients', []))} by {settings.get('host')}:{settings.get('port')}"
        case "command":
            import shlex

            return shlex.join(settings.get("argv", []))
        case _:
            environment = settings.get("environment", {})
            return str(environment.get("WAYLAND_DISPLAY") or environment.get("DISPLAY") or "the session bus")


@command.command()
@channel_argument
@json_option
@connected()
def show(name: str, as_json: bool, connection: Connection) -> int:
    """Show everything about a channel but its secret.

    \b
    hawse notify show mail
    """
    from hawse.cli.table import facts
    from hawse.cli.words import moment

    found = connection.open().notices.channel(name)
    if as_json:
        json_out(found.raw)
        return 0
    settings = [(key, ", ".join(map(str, value)) if isinstance(value, list) else str(value or ""))
                for key, value in found.settings.items() if not isinstance(value, dict)]  # fmt: skip
    if found.means == "desktop":
        settings += sorted(found.settings.get("environment", {}).items())
    facts(
        [
            ("channel", found.name), ("kind", found.means), ("is", found.state), *settings,
            ("tells", ", ".join(found.kinds)), ("sessions", ", ".join(found.sessions) or "all that you may see"),
            ("waiting", str(found.waiting)), ("failed", str(found.failed)), ("since", moment(found.created_at)),
            ("id", found.id),
        ]
    )  # fmt: skip
    if found.failed:
        note(f"what failed: hawse notify log --failed --channel {found.name}")
    return 0


@command.command()
@connected()
def kinds(connection: Connection) -> int:
    """List the kinds of notices."""
    from hawse.cli.table import table

    table(("KIND", "TELLS THAT"), [(kind, TELLS[kind]) for kind in KINDS])
    return 0


TELLS = {
    "job_started": "a job's program has started (only if asked for)",
    "job_ended": "a job ended well, or as somebody had asked",
    "job_failed": "a job exited with another code than 0, was killed, or could not be started",
    "job_lost": "a job's runner or host died",
    "job_waits": "a job prints nothing and its program reads the terminal",
    "lease_ends": "a session is about to end by itself",
    "connect_by": "a session ends soon unless somebody attaches",
    "taken_over": "somebody took your place at a job, or its control",
    "shared": "somebody gave you a role in a session",
    "refused": "somebody tried what he may not, in a session of yours",
    "session_ended": "a session is over",
}


# -- log --------------------------------------------------------------------------------------------------------------


@command.command()
@click.option("--failed", is_flag=True, help="Only those that were given up.")
@click.option("--waiting", is_flag=True, help="Only those that are still to be sent.")
@click.option("--channel", default="", metavar="CHANNEL", help="Only this channel.", shell_complete=complete_channel)
@click.option("-n", "--last", type=Numbers(1, 10_000, whole=True), default=30, show_default=True, metavar="N",
              help="So many, the newest.")  # fmt: skip
@json_option
@connected()
def log(failed: bool, waiting: bool, channel: str, last: int, as_json: bool, connection: Connection) -> int:
    """List what you were told, the newest last; with the cause where it failed.

    \b
    hawse notify log
    hawse notify log --failed --channel mail
    """
    from itertools import islice

    from hawse.domain.errors import Invalid

    if failed and waiting:
        raise Invalid("nothing is failed and waiting", next_step="give one of --failed and --waiting")
    notices = connection.open().notices
    state = "failed" if failed else "waiting" if waiting else "all"
    found = list(islice(notices.each(state=state, channel=channel), last))[::-1]
    if as_json:
        json_out([one.raw for one in found])
    elif not found:
        note("nothing was told" + (" in vain" if failed else ""))
    else:
        _print_log(found, {one.id: one.name for one in notices.channels()}, ids=failed or waiting)
        failures = [one for one in found if one.state == "failed"]
        if failures:
            note(f"send the last one again with: hawse notify send-again {failures[-1].id}")
    return 0


def _print_log(found: list[NoticeInfo], names: dict[str, str], *, ids: bool) -> None:
    """ids: with what to send one again, and how often it was tried; all are in the same state then."""
    from hawse.cli.table import table
    from hawse.cli.words import moment

    rows = []
    for one in found:
        row = (moment(one.created_at), names.get(one.channel, "-"))
        rows.append((*row, str(one.attempts), one.id, _told(one)) if ids else (*row, one.state, one.kind, _told(one)))
    table(("TIME", "CHANNEL", *(("TRIES", "ID") if ids else ("IS", "KIND")), "WHAT"), rows)


def _told(notice: NoticeInfo) -> str:
    return notice.subject + (f" ({notice.cause})" if notice.cause and notice.state != "sent" else "")


@command.command()
@channel_argument
@click.option("--no-wait", is_flag=True, help="Do not wait for how it went.")
@json_option
@connected()
def test(name: str, no_wait: bool, as_json: bool, connection: Connection) -> int:
    """Send a test notice over a channel and tell how it went.

    Exits with 1 when it was not taken.

    \b
    hawse notify test mail
    """
    from hawse.cli.progress import Progress

    notices = connection.open().notices
    made = notices.test(name)
    if not no_wait:
        with Progress(f"sending over {name}"):
            made = notices.outcome(made.id)
    return _outcome(made, name, as_json, no_wait)


def _outcome(notice: NoticeInfo, name: str, as_json: bool, no_wait: bool) -> int:
    code = 0 if notice.state == "sent" or no_wait else EXIT_FAILED
    if as_json:
        json_out(notice.raw)
    elif notice.state == "sent":
        out(f"sent over {name}")
    elif no_wait:
        out(f"notice {notice.id} is to be sent; hawse notify log tells how it went")
    else:
        from hawse.cli.words import moment

        out(f"not sent over {name}: {notice.cause or 'no answer yet'}")
        if notice.state == "waiting":
            note(f"it is tried again at {moment(notice.due_at)}; hawse notify log tells how it went")
    return code


@command.command("send-again")
@click.argument("id", metavar="ID", shell_complete=complete_failed)
@click.option("--no-wait", is_flag=True, help="Do not wait for how it went.")
@json_option
@connected()
def send_again(id: str, no_wait: bool, as_json: bool, connection: Connection) -> int:
    """Send a notice now that was not sent, with the same id.

    It was given up, was withdrawn, or waits for its next try. Exits with 1 when it was not taken again.

    \b
    hawse notify send-again 01a20889-bacf-7c96-9dbd-f25e812b4462
    """
    from hawse.cli.progress import Progress

    notices = connection.open().notices
    made = notices.send_again(id)
    if not no_wait:
        with Progress("sending"):
            made = notices.outcome(made.id, tries=made.attempts)
    name = next((one.name for one in notices.channels() if one.id == made.channel), made.channel)
    return _outcome(made, name, as_json, no_wait)


# -- change -----------------------------------------------------------------------------------------------------------


@command.command("set")
@channel_argument
@click.option("--rename", metavar="NEW", help="Another name.")
@click.option("--kind", "kinds", multiple=True, type=click.Choice(KINDS), metavar="KIND", help="Only this kind.")
@click.option("--session", "sessions", multiple=True, metavar="PATTERN", help="Only these sessions.")
@click.option("--all-sessions", is_flag=True, help="All sessions that you may see.")
@click.option("--secret-file", metavar="FILE", help="Another signing key or password; - is standard input.")
@json_option
@connected()
def set_(
    name: str,
    rename: str | None,
    kinds: tuple[str, ...],
    sessions: tuple[str, ...],
    all_sessions: bool,
    secret_file: str | None,
    as_json: bool,
    connection: Connection,
) -> int:
    """Change what a channel tells, its name, or its secret.

    \b
    hawse notify set mail --kind job_failed --kind job_lost --session 'train*'
    """
    from hawse.domain.errors import Invalid

    changes: dict[str, Any] = {"name": rename, "kinds": list(kinds) or None, "sessions": list(sessions) or None}
    changes["secret"] = _secret(secret_file, "the secret")
    if all_sessions:
        changes["sessions"] = []
    changes = {key: value for key, value in changes.items() if value is not None}
    if not changes:
        raise Invalid("there is nothing to change", next_step="hawse notify set --help")
    made = connection.open().notices.change(name, **changes)
    if as_json:
        json_out(made.raw)
    else:
        out(f"channel {made.name} tells {_tells(made)}")
    return 0


@command.command()
@channel_argument
@json_option
@connected()
def on(name: str, as_json: bool, connection: Connection) -> int:
    """Turn a channel on. What happened meanwhile is not told."""
    return _turn(name, "on", as_json, connection)


@command.command()
@channel_argument
@json_option
@connected()
def off(name: str, as_json: bool, connection: Connection) -> int:
    """Turn a channel off. What waits in it is withdrawn."""
    return _turn(name, "off", as_json, connection)


def _turn(name: str, state: str, as_json: bool, connection: Connection) -> int:
    made = connection.open().notices.change(name, state=state)
    if as_json:
        json_out(made.raw)
    else:
        out(f"channel {made.name} is {made.state}")
    return 0


@command.command()
@channel_argument
@json_option
@connected()
def rm(name: str, as_json: bool, connection: Connection) -> int:
    """Remove a channel with its log and its secret.

    \b
    hawse notify rm mail
    """
    gone = connection.open().notices.remove(name)
    if as_json:
        json_out(gone.raw)
    else:
        out(f"channel {gone.name} is gone")
    return 0
