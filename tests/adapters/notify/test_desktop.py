"""The desktop: a real session bus, a notification service on it, and each of the programs that speak to it."""

import asyncio
import os
import shutil
import subprocess
import threading

import pytest
from jeepney import HeaderFields, MessageType, new_error, new_method_return
from jeepney.bus_messages import message_bus
from jeepney.io.blocking import open_dbus_connection
from tests.adapters.notify.conftest import parcel

from hawse.adapters.notify import desktop
from hawse.adapters.notify.desktop import PROGRAMS, Desktop
from hawse.domain.channel import Means
from hawse.domain.errors import Unavailable
from hawse.domain.notice import Kind

SUBJECT = "train/main failed: it's 100% <b>'\\"


@pytest.fixture
def bus(tmp_path):
    """The address of a session bus of its own."""
    address = f"unix:path={tmp_path}/bus"
    words = ["dbus-daemon", "--session", "--nofork", "--nopidfile", f"--address={address}", "--print-address"]
    daemon = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
    assert daemon.stdout is not None
    with daemon:
        try:
            daemon.stdout.readline()
            yield address
        finally:
            daemon.terminate()


@pytest.fixture
def shown(bus):
    """A notification service on the bus; the arguments of each Notify. refuses: set, it answers with errors."""
    connection = open_dbus_connection(bus)
    connection.send_and_get_reply(message_bus.RequestName("org.freedesktop.Notifications"))
    calls, refuses = [], threading.Event()

    def serve() -> None:
        while True:
            try:
                message = connection.receive()
            except (ConnectionError, OSError, ValueError):
                return
            if message.header.message_type != MessageType.method_call:
                continue
            member = message.header.fields.get(HeaderFields.member)
            if member == "Notify" and not refuses.is_set():
                calls.append(message.body)
                connection.send(new_method_return(message, "u", (7,)))
            elif member == "GetServerInformation":
                connection.send(new_method_return(message, "ssss", ("test", "test", "1", "1.2")))
            elif member == "GetCapabilities":
                connection.send(new_method_return(message, "as", (["body"],)))
            elif member == "Quit":
                return
            else:
                connection.send(new_error(message, "org.example.No", "s", ("no",)))

    thread = threading.Thread(target=serve)
    thread.start()
    yield calls, refuses
    subprocess.run(
        ["gdbus", "emit", "--session", "--object-path", "/x", "--signal", "x.y.Z"],
        env=os.environ | {"DBUS_SESSION_BUS_ADDRESS": bus}, check=False, capture_output=True,
    )  # fmt: skip
    with open_dbus_connection(bus) as other:
        from jeepney import DBusAddress, new_method_call

        where = DBusAddress("/org/freedesktop/Notifications", "org.freedesktop.Notifications", "x.y")
        other.send(new_method_call(where, "Quit"))
        thread.join(20)
    connection.close()


def only(program: str, folder, monkeypatch) -> None:
    """A PATH on which this is the only one of the programs."""
    folder.mkdir()
    found = shutil.which(program)
    assert found is not None, f"tools/test-setup installs {program}"
    (folder / program).symlink_to(found)
    monkeypatch.setenv("PATH", str(folder))


def send(bus: str, **fields) -> None:
    settings = {"environment": {"DBUS_SESSION_BUS_ADDRESS": bus}}
    asyncio.run(Desktop().send(parcel(Means.DESKTOP, settings, secret=None, **fields)))


@pytest.mark.requirement("S2.7")
@pytest.mark.parametrize("program", PROGRAMS)
def test_a_notice_is_shown(program, bus, shown, tmp_path, monkeypatch) -> None:
    only(program, tmp_path / "bin", monkeypatch)
    send(bus, subject=SUBJECT, text="make <ü> & co")
    ((name, replaces, _icon, summary, body, actions, hints, timeout),) = shown[0]
    assert (name, replaces, summary, actions, timeout) == ("hawse", 0, f"hawse: {SUBJECT}", [], -1)
    assert body == "make &lt;ü&gt; &amp; co\nhawse logs train/main"
    assert hints["urgency"] == ("y", 2), "a failure"
    send(bus, kind=Kind.JOB_ENDED)
    assert shown[0][1][6]["urgency"] == ("y", 1)


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_service_that_refuses_or_is_not_there_is_a_failure(program, bus, tmp_path, monkeypatch) -> None:
    only(program, tmp_path / "bin", monkeypatch)
    with pytest.raises(Unavailable, match=f"{program} ended with"):
        send(bus)


def test_where_there_is_no_bus_it_says_so(tmp_path, monkeypatch) -> None:
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    with pytest.raises(Unavailable, match="there is no session bus here"):
        asyncio.run(Desktop().send(parcel(Means.DESKTOP, {}, secret=None)))


def test_the_bus_of_a_login_is_found_without_a_variable(tmp_path) -> None:
    (tmp_path / "bus").touch()
    found = desktop.bus({"XDG_RUNTIME_DIR": str(tmp_path)})
    assert found["DBUS_SESSION_BUS_ADDRESS"] == f"unix:path={tmp_path}/bus"


def test_where_no_program_is_installed_it_says_so(bus, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Unavailable, match="none of notify-send, gdbus, busctl is installed"):
        send(bus)
