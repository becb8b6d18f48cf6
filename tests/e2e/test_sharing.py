"""Several real users, one session: the table through the command line, eyes without hands, and what is taken back.

A site opens the sockets to others; here the test does. The guests are users that the test makes and removes.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from machine import Machine
from screen import KEY, Screen
from tests.other_users import need_root, opened

from hawse.domain.grant import Role
from hawse.services.role import BY_NAME, allowed

pytestmark = pytest.mark.xdist_group("users")
DENIED = 77


class Guest:
    """A user of this machine who has an account, a home and the address of somebody else's coordinator."""

    def __init__(self, name: str, machine: Machine, home: Path, setpriv: str) -> None:
        import pwd

        self.name = name
        found = pwd.getpwnam(name)
        self.uid = found.pw_uid
        self.words = (setpriv, f"--reuid={found.pw_uid}", f"--regid={found.pw_gid}", "--init-groups", "--inh-caps=-all")
        home.mkdir()
        os.chown(home, found.pw_uid, found.pw_gid)
        names = {"PATH": os.environ["PATH"], "HOME": str(home), "HAWSE_SERVER": f"unix:{machine.socket}"}
        self.environ = {**names, "HAWSE_STATE_DIR": str(home / "s"), "HAWSE_RUNTIME_DIR": str(home / "r")}
        self.screens: list[Screen] = []

    def run(self, *words: str, **settings: Any) -> subprocess.CompletedProcess[str]:
        settings.setdefault("input", "")
        command = [*self.words, sys.executable, "-m", "hawse.cli", *words]
        environ = {**self.environ, "NO_COLOR": "1"}
        return subprocess.run(command, capture_output=True, text=True, timeout=60, env=environ, cwd="/", **settings)

    def window(self, *words: str) -> Screen:
        self.screens.append(Screen(list(words), self.environ, user=self.words))
        return self.screens[-1]


@pytest.fixture
def guests(machine: Machine, places: Any, need: Callable[[str], str]) -> Iterator[Callable[[str], Guest]]:
    """guests("a"): a user who exists as long as the test. The coordinator runs, and its sockets are open to all."""
    need_root()
    setpriv, useradd, userdel = need("setpriv"), need("useradd"), need("userdel")
    machine.start()
    opened(places.base, machine.runtime, machine.socket, machine.runtime / "r")
    made: dict[str, Guest] = {}

    def guest(letter: str) -> Guest:
        name = f"hawse-t{os.getpid()}{letter}"
        subprocess.run([useradd, "--no-create-home", "--shell", "/bin/sh", name], check=True, capture_output=True)
        made[name] = Guest(name, machine, places.base / f"home-{letter}", setpriv)
        return made[name]

    yield guest
    for name, one in made.items():
        for screen in one.screens:
            screen.kill()
        subprocess.run([userdel, name], check=True, capture_output=True)


def owner(machine: Machine) -> dict[str, str]:
    """The owner's environment. By its address, since his own command line refuses folders that others can reach."""
    return {**machine.environ, "HAWSE_SERVER": f"unix:{machine.socket}"}


def mine(machine: Machine, *words: str) -> Any:
    """A command of the owner's; what it prints with --json."""
    done = subprocess.run(
        [sys.executable, "-m", "hawse.cli", *words], capture_output=True, text=True, timeout=60, env=owner(machine)
    )
    assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
    return json.loads(done.stdout) if "--json" in words and words[0] != "events" else done.stdout


def begin(machine: Machine, name: str, *argv: str, tty: bool = True) -> str:
    """A session with a job; its socket is open to all. Returns the session's id."""
    mine(machine, "new", name, "-d", "--keep", "--", *argv)
    session = mine(machine, "show", name, "--json")
    job = session["jobs"][0]["id"]
    socket = machine.runtime / "r" / job
    machine.eventually(socket.exists, what="the runner's socket")
    opened(socket)
    return str(session["id"])


def refusals(machine: Machine, name: str) -> list[dict[str, Any]]:
    lines = mine(machine, "events", name, "--json").splitlines()
    return [event for event in map(json.loads, lines) if event["kind"] == "session.refused"]


# The table's verbs as commands, the destructive ones last. None: tested with terminals, below.
COMMANDS = [
    ("get_session", ["show", "{s}"]),
    ("list_events", ["events", "{s}"]),
    ("read_log", ["logs", "{s}"]),
    ("describe_session", ["describe", "{s}", "--description", "x"]),
    ("list_policies", ["policy", "show", "{s}"]),
    ("describe_session policies", ["policy", "set", "{s}", "on_disconnect=keep"]),
    ("run_job", ["run", "{s}", "-d", "--", "true"]),
    ("signal_job", ["signal", "{s}/sh", "CONT"]),
    ("share", ["share", "{s}", "uid:77"]),
    ("make_link", ["share", "{s}", "--link"]),
    ("unshare", ["unshare", "{s}", "uid:78"]),
    ("end_session", ["end", "{s}", "--now"]),
]


@pytest.mark.requirement("S6.1", "S6.2", "S7.1", "S7.2", "S8.3", "S8.4")
def test_each_cell_of_the_table_through_the_command_line(machine: Machine, guests: Callable[[str], Guest]) -> None:
    ada = guests("a")
    for role in (None, *Role):
        name = f"s-{role or 'none'}"
        begin(machine, name, "sh", "-c", "echo printed; exec sleep 1000")
        mine(machine, "share", name, "uid:78")
        if role is not None:
            mine(machine, "share", name, ada.name, "--role", role.value)
        for verb, words in COMMANDS:
            done = ada.run(*(word.format(s=name) for word in words))
            may = role in allowed(BY_NAME[verb])
            assert done.returncode == (0 if may else DENIED), (verb, role, done.stdout, done.stderr)
            if not may:
                assert "may not" in done.stderr or "belongs to somebody else" in done.stderr
        told = refusals(machine, name)
        assert {event["by"] for event in told} == ({f"uid:{ada.uid}"} if role != Role.OWNER else set())
    listed = ada.run("ls", "--all", "--shared", "--json")
    assert {one["alias"] for one in json.loads(listed.stdout)} == {f"s-{role}" for role in Role}
    assert ada.run("new", "mine", "-d", "--", "id").returncode == DENIED, "jobs would run as the coordinator's user"


NO = ("may not", "belongs to somebody else", "needs attachment:detach")
WINDOWS = [
    ("attach read", ["logs", "-f", "{s}"]),
    ("attach watch", ["attach", "{s}", "--watch"]),
    ("attach control", ["attach", "{s}"]),
    ("attach control steal", ["attach", "{s}", "--steal"]),
]


@pytest.mark.requirement("S6.1", "S7.2", "S8.3", "S8.4", "S5.3")
def test_each_cell_that_needs_a_terminal(machine: Machine, guests: Callable[[str], Guest]) -> None:
    ada = guests("a")
    for role in (None, *Role):
        name = f"s-{role or 'none'}"
        begin(machine, name, "sh", "-c", "echo printed; exec sleep 1000")
        if role is not None:
            mine(machine, "share", name, ada.name, "--role", role.value)
        for verb, words in WINDOWS:
            window = ada.window(*(word.format(s=name) for word in words))
            if role in allowed(BY_NAME[verb]):
                window.until("printed")
            else:
                window.until(lambda text: any(word in text for word in NO))
                assert "printed" not in window.text, (verb, role)
            window.kill()


@pytest.mark.requirement("S6.1", "S7.2", "S8.1", "S8.3")
def test_eyes_without_hands_and_cut_within_a_moment(machine: Machine, guests: Callable[[str], Guest]) -> None:
    ada, bob = guests("a"), guests("b")
    begin(machine, "pair", sys.executable, "-q")
    me = Screen(["attach", "pair"], owner(machine))
    try:
        me.until(">>>")
        refused = ada.run("show", "pair")
        assert refused.returncode == DENIED
        mine(machine, "share", "pair", ada.name)
        mine(machine, "share", "pair", bob.name, "--role", "operator")
        looking = ada.window("attach", "pair", "--watch")
        looking.until(">>>")
        typing = bob.window("attach", "pair")
        typing.until("you look on")
        typing.type("'ev' + 'il'\r")
        typing.until("what you type goes nowhere")
        typing.type(KEY + "t")
        typing.until("[you have control]")
        me.until(f"{bob.name} (/dev/pts/")
        typing.type("6*7\r")
        for window in (me, looking, typing):
            window.until("42")
        looking.type("print('never')\r")
        me.type(KEY + "t")
        typing.until("took control; take it back: Ctrl-\\ t")
        me.type("1+1\r")
        me.until("\n2")
        assert "never" not in me.text
        assert "evil" not in me.text
        typing.type(KEY + "t")
        me.until(lambda text: text.count("took control") == 2)
        no_hands = ada.window("attach", "pair")
        no_hands.until("may not job:control")
        assert "--watch" in no_hands.text
        out = mine(machine, "unshare", "pair", bob.name)
        assert f"cut off uid:{bob.uid}" in out
        typing.until("taken back")
        assert "return with" not in typing.text
        mine(machine, "unshare", "pair", ada.name)
        looking.until("taken back")
        me.until(lambda text: text.count("[you have control]") == 2)  # his went to who stays
        again = bob.window("attach", "pair")
        again.until("belongs to somebody else")
        me.type("2+3\r")
        me.until("\n5")
        assert {event["by"] for event in refusals(machine, "pair")} == {f"uid:{ada.uid}", f"uid:{bob.uid}"}
    finally:
        me.kill()


@pytest.mark.requirement("S6.2", "S7.2")
def test_a_link_from_hand_to_hand(machine: Machine, guests: Callable[[str], Guest]) -> None:
    ada, bob = guests("a"), guests("b")
    begin(machine, "work", "sh", "-c", "echo secret plans; exec sleep 1000")
    link = mine(machine, "share", "work", "--link", "--until", "1h").strip()
    assert ada.run("redeem", link).returncode == 64, "not as a word of a command"
    done = ada.run("redeem", input=link + "\n")
    assert done.returncode == 0, done.stderr
    assert "you are observer of work" in done.stdout
    assert "secret plans" in ada.run("logs", "work").stdout
    used = bob.run("redeem", input=link + "\n")
    assert (used.returncode, "used" in used.stderr) == (1, True)
    wrong = bob.run("redeem", input=link[:-4] + "AAAA\n")
    assert wrong.returncode == DENIED
    (told,) = refusals(machine, "work")
    assert (told["by"], told["detail"]["capability"]) == (f"uid:{bob.uid}", "link:redeem")
    (shown,) = [one for one in mine(machine, "share", "work", "--json") if one["principal"]]
    assert (shown["principal"], shown["via"]) == (f"uid:{ada.uid}", shown["via"])
    everything = b"".join(path.read_bytes() for path in machine.state.rglob("*") if path.is_file())
    assert link.partition(".")[2].encode() not in everything, "its secret is kept nowhere"
    out = mine(machine, "unshare", "work", shown["via"])
    assert "taken back" in out
    assert ada.run("logs", "work").returncode == DENIED


@pytest.mark.requirement("S7.2")
def test_who_is_unknown_is_told(machine: Machine, guests: Callable[[str], Guest]) -> None:
    guests("a")
    begin(machine, "work", "sleep", "1000")
    for who in ("no-such-user", "@no-such-group", "team:x", "uid:x"):
        done = subprocess.run(
            [sys.executable, "-m", "hawse.cli", "share", "work", who],
            capture_output=True,
            text=True,
            env=owner(machine),
        )
        assert done.returncode in (1, 64), (who, done.stderr)
