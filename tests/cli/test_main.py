"""Usage, help and exit codes; no coordinator is needed."""

import importlib
import os
import subprocess
import sys
from types import SimpleNamespace

import click
import pytest

from hawse import __version__
from hawse.cli.commands.logs import since_of
from hawse.cli.commands.new import start_code
from hawse.cli.main import COMMANDS, group, run
from hawse.client.records import JobInfo
from hawse.domain.errors import Invalid


def hawse(*words: str, **settings: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "hawse.cli", *words], capture_output=True, text=True, timeout=60, **settings
    )


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_helps_with_an_example(name):
    command = importlib.import_module(f"hawse.cli.commands.{name}").command
    assert isinstance(command, click.Command)
    assert command.help is not None
    first = command.help.split(".")[0]
    assert first == first.strip()
    assert f"hawse {name}" in command.help
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert parameter.help, f"{name} {parameter.name} has no help"


def test_help_lists_all_and_imports_none():
    done = hawse("--help")
    assert done.returncode == 0
    for name, told in COMMANDS.items():
        assert name in done.stdout
        assert told in done.stdout


def test_version():
    assert hawse("--version").stdout == f"hawse {__version__}\n"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["lss"], "did you mean ls?"),
        (["--nonsense"], "there is no option --nonsense"),
        (["--verison"], "there is no option --verison; did you mean --version?"),
        (["ls", "--jsno"], "there is no option --jsno; did you mean --json?"),
        (["new", "x", "--detahced"], "there is no option --detahced; did you mean --detached?"),
        (["attach"], "NAME[/JOB] is missing"),
        (["show", "a", "b"], "b is more than it takes"),
        (["logs", "x", "--from"], "--from needs a value"),
        (["ls", "--json=x"], "--json takes no value"),
        (["ls", "--start", "x"], "--start: 'x' is not one of 'auto', 'never', 'always'"),
        (["completion", "ksh"], "SHELL: 'ksh' is not one of"),
        (["new", "x", "make"], "put -- before the command"),
        (["new", "-d", "", "--", "true"], "the name '' is not valid"),
        (["end"], "NAME... is missing"),
        (["end", "x", "--all"], "only one of"),
        (["kill", "x"], "there is no command 'kill'"),
        (["run", "x", "make", "-j"], "put -- before the command"),
        (["run", "x"], "give a command after --"),
        (["show", "a/b/c"], "is not NAME or NAME/JOB"),
        (["logs", "x", "--since", "yesterday"], "neither a byte offset nor a time"),
        (["logs", "x", "--from", "1", "--since", "1h"], "only one of"),
        (["end", "x", "--grace", "-1"], "--grace: -1 is not within 0 to 3600"),
        (["end", "x", "--grace", "nan"], "--grace: nan is not a finite number"),
        (["wait", "x", "--timeout", "inf"], "--timeout: inf is not a finite number"),
        (["logs", "x", "--from", "-1"], "--from: -1 is less than 0"),
        (["history", "-n", "0"], "--limit: 0 is not within 1 to 100000"),
        (["ls", "--server", "ssh://x y"], "is not valid"),
        (["new", "x", "--label", "nosign", "--", "true"], "not NAME=VALUE"),
        (["end", "x", "--now", "--grace", "1"], "only one of"),
        (["describe", "x"], "nothing to change"),
    ],
)
def test_usage_errors_are_64_and_speak_like_all_others(words, told, capfd):
    """One sentence and the next step; nothing of the parser's own voice."""
    assert run(words) == 64
    shown = capfd.readouterr()
    assert shown.out == ""
    first, *rest = shown.err.splitlines()
    assert first.startswith("hawse: ")
    assert told in shown.err
    assert all(line.startswith("       ") for line in rest)
    assert not {"Usage", "Error", "Try"} & set(shown.err.replace(":", " ").split())


@pytest.mark.parametrize(
    ("words", "next_step"),
    [
        (["lss"], "hawse --help lists the commands"),
        (["attach"], "write: hawse attach [OPTIONS] NAME[/JOB]; more: hawse attach --help"),
        (
            ["new", "--detahced"],
            "put -- before the command: hawse new [OPTIONS] [NAME] [-- COMMAND...]; more: hawse new --help",
        ),
        (["run", "x"], "give a command after --: hawse run x -- COMMAND"),
        (["kill"], "perhaps: hawse end NAME; hawse signal NAME/JOB KILL; all commands: hawse --help"),
        (["ps"], "perhaps: hawse ls; hawse show NAME; all commands: hawse --help"),
        (["rename"], "perhaps: hawse describe NAME --rename NEW; all commands: hawse --help"),
        (["help"], "perhaps: hawse --help; hawse COMMAND --help; all commands: hawse --help"),
    ],
)
def test_usage_errors_tell_the_next_step(words, next_step, capfd):
    assert run(words) == 64
    assert capfd.readouterr().err.splitlines()[-1].strip() == next_step


def test_completion_behind_an_unknown_command_is_silent():
    environ = {**os.environ, "_HAWSE_COMPLETE": "bash_complete", "COMP_WORDS": "hawse lss ", "COMP_CWORD": "2"}
    assert hawse(env=environ).stderr == ""


def test_no_words_show_the_help(capfd):
    assert run([]) == 64
    assert "Commands:" in capfd.readouterr().out


@pytest.mark.requirement("S0.2")
def test_without_a_coordinator_never_is_69(capfd, places):
    assert run(["ls", "--start", "never"]) == 69
    error = capfd.readouterr().err
    assert "no coordinator is running" in error
    assert "start one: hawse status --start auto" in error
    assert run(["status"]) == 69
    assert run(["down"]) == 0
    assert capfd.readouterr().out == "no coordinator is running\n"


def test_a_coordinator_that_cannot_start_says_why(capfd, places):
    places.state.mkdir()
    (places.state / "host").write_text("nonsense")
    assert run(["ls"]) == 69
    error = capfd.readouterr().err
    assert "the coordinator ended at once" in error
    assert "is damaged" in error
    assert "hawse doctor" in error


def test_a_state_directory_that_cannot_be_made(capfd, monkeypatch, places):
    (places.base / "file").touch()
    monkeypatch.setenv("HAWSE_STATE_DIR", f"{places.base}/file/state")
    assert run(["ls"]) == 69
    assert "HAWSE_STATE_DIR" in capfd.readouterr().err


def test_a_reader_that_left_is_no_error():
    done = subprocess.run(
        f"{sys.executable} -m hawse.cli --help | head -1; exit ${{PIPESTATUS[0]}}",
        shell=True,
        executable="/bin/bash",
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout.startswith("Usage")
    assert done.stderr == ""


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts(shell, capfd):
    assert run(["completion", shell]) == 0
    assert "_HAWSE_COMPLETE" in capfd.readouterr().out


def test_completion_of_commands_and_silence_without_a_coordinator():
    environ = {**os.environ, "_HAWSE_COMPLETE": "bash_complete", "COMP_WORDS": "hawse e", "COMP_CWORD": "1"}
    assert hawse(env=environ).stdout.split() == ["plain,events", "plain,extend", "plain,end"]
    environ |= {"COMP_WORDS": "hawse attach ", "COMP_CWORD": "2"}
    done = hawse(env=environ)
    assert (done.stdout.strip(), done.stderr) == ("", "")


def test_the_table_has_every_module_of_commands():
    from pathlib import Path

    import hawse.cli.commands as commands

    modules = {path.stem for path in Path(commands.__file__).parent.glob("*.py")} - {"__init__"}
    assert modules == set(COMMANDS) == set(group.list_commands(click.Context(group)))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("4096", (4096, None)),
        ("@1000.5", (None, 1000.5)),
        ("10m", (None, 9400.0)),
        ("1.5h", (None, 4600.0)),
        ("9d", (None, 0.0)),
        ("2h30m", (None, 1000.0)),
        ("1970-01-01T02:00:00Z", (None, 7200.0)),
        ("1970-01-01T02:00:00.5Z", (None, 7200.5)),
        ("1970-01-01T04:00:00+02:00", (None, 7200.0)),
    ],
)
def test_cursors_and_times(text, found):
    assert since_of(text, 10_000.0) == found


def test_a_local_time():
    import time

    cursor, then = since_of("2025-03-04 17:05", 0)
    assert cursor is None
    assert time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(then)) == "2025-03-04 17:05:00"


@pytest.mark.parametrize(("text", "then"), [("17:05:06", "17:05:06"), ("17:05", "17:05:00"), ("00:00", "00:00:00")])
def test_a_time_of_day_is_the_last_one_that_was(text, then):
    import time

    now = time.time()
    cursor, found = since_of(text, now)
    assert cursor is None
    assert time.strftime("%H:%M:%S", time.localtime(found)) == then
    assert now - 25 * 3600 < found <= now  # a day may have 25 hours


@pytest.mark.parametrize("text", ["", "-1", "5x", "@x", "@nan", "2025-13-01", "now", "25:00", "1h2", "h"])
def test_no_cursor_and_no_time(text):
    with pytest.raises(Invalid):
        since_of(text, 0)


def test_new_tells_that_a_start_takes_long_and_goes_on(capfd):
    class Slow:
        name = "make"
        session = SimpleNamespace(name="build")

        def wait(self, timeout: float, *, until: str) -> JobInfo:
            assert (timeout, until) == (2.0, "started")
            return JobInfo({"state": "starting"})

    assert start_code(Slow()) == 0
    assert capfd.readouterr().err == "build/make has not started within 2 s; it goes on: hawse show build\n"


def completed(*words: str, **variables: str) -> list[tuple[str, str]]:
    """What the shell is told: type and word."""
    environ = {**os.environ, "_HAWSE_COMPLETE": "bash_complete", **variables}
    environ |= {"COMP_WORDS": "\n".join(["hawse", *words]), "COMP_CWORD": str(len(words))}
    done = hawse(env=environ)
    assert done.stderr == ""
    return [(kind, word) for kind, _, word in (line.partition(",") for line in done.stdout.splitlines())]


def test_behind_the_dashes_commands_and_files_are_completed(tmp_path, places):
    for name, mode in (("hwstool", 0o755), ("hwsdata", 0o644)):
        (tmp_path / name).write_text("")
        (tmp_path / name).chmod(mode)
    for start in (["new", "-d", "x"], ["new"], ["run", "x"]):
        assert completed(*start, "--", "hws", PATH=f"{tmp_path}:/nowhere") == [("plain", "hwstool")]
        assert completed(*start, "--", "./hws") == [("file", "./hws")]
        assert completed(*start, "--", "") == [("file", "")]
        assert completed(*start, "--", "no-such-progr") == [("file", "no-such-progr")]
        assert completed(*start, "--", "cat", "--", "-") == [("file", "-")]


def test_folders_and_signals_are_completed(places):
    assert completed("new", "x", "--cwd", "/ho") == [("dir", "/ho")]
    assert completed("run", "x", "--cwd", "") == [("dir", "")]
    assert completed("signal", "x/y", "US") == [("plain", "USR1"), ("plain", "USR2")]
    assert completed("signal", "x/y", "sigus") == [("plain", "SIGUSR1"), ("plain", "SIGUSR2")]


def shell(script: str, **settings: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=60, **settings)


HAWSE = f"{sys.executable} -m hawse.cli"


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_closed_standard_descriptor_is_as_good_as_dev_null(closed, places):
    done = shell(f"{HAWSE} down {closed}")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == ("" if ">&-" in closed.replace("2>&-", "") else "no coordinator is running\n")


def test_an_output_that_cannot_be_written_is_told(places):
    done = shell(f"{HAWSE} down > /dev/full")
    assert (done.returncode, done.stderr) == (74, "hawse: the output cannot be written: No space left on device\n")
    done = shell(f"{HAWSE} --help > /dev/full")
    assert (done.returncode, done.stderr) == (74, "hawse: the output cannot be written: No space left on device\n")
