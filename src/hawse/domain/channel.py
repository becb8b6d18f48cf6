"""A channel: how one person wants to be told of what happens, and of which things.

A channel belongs to a principal. It is told only of sessions that he may see at that moment (services/notice.py).
What is secret (a webhook's signing key, a mail server's password) is no part of it and stands apart in the store.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Any
from urllib.parse import urlsplit

from hawse.domain.errors import Conflict, Invalid, TooLarge
from hawse.domain.ids import ChannelId, checked_name
from hawse.domain.session import Session
from hawse.domain.table import moved

CHANNELS_MAX = 32  # of one principal
SESSIONS_MAX = 32  # patterns of one channel
PATTERN_LENGTH_MAX = 330  # a label: its name of 64, "=", its value of 256
URL_LENGTH_MAX = 2000
ADDRESS_LENGTH_MAX = 254  # RFC 5321, 4.5.3.1.3, without the angle brackets
RECIPIENTS_MAX = 10
HOST_LENGTH_MAX = 253  # RFC 1035, 2.3.4
PATH_LENGTH_MAX = 4096
ARGV_MAX = 64
ARGUMENT_LENGTH_MAX = 4096
PASSWORD_LENGTH_MAX = 1024
SIGNING_BYTES_MIN, SIGNING_BYTES_MAX = 24, 64  # Standard Webhooks 1.0, "Signature scheme"
SIGNING_PREFIX = "whsec_"
PORTS = {"tls": 465, "starttls": 587, "none": 25}
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
DISPLAY_VARIABLES = ("DBUS_SESSION_BUS_ADDRESS", "DISPLAY", "WAYLAND_DISPLAY", "XDG_RUNTIME_DIR")
_ADDRESS = re.compile(r"[^@\s\x00-\x1f\x7f<>,;:\"()\[\]\\]+@[^@\s\x00-\x1f\x7f<>,;:\"()\[\]\\]+")
_HOST = re.compile(r"[A-Za-z0-9._:-]+")


class Means(StrEnum):
    """How a channel tells."""

    WEBHOOK = "webhook"
    MAIL = "mail"
    COMMAND = "command"
    DESKTOP = "desktop"


OF_THE_HOST = frozenset({Means.COMMAND, Means.DESKTOP})  # they run programs as the coordinator's user


class S(StrEnum):
    ON = "on"
    OFF = "off"


class E(StrEnum):
    TURNED_ON = "turned_on"
    TURNED_OFF = "turned_off"
    CHANGED = "changed"


CHANNEL: Mapping[tuple[S, E], S] = {
    (S.ON, E.TURNED_ON): S.ON,
    (S.ON, E.TURNED_OFF): S.OFF,
    (S.ON, E.CHANGED): S.ON,
    (S.OFF, E.TURNED_ON): S.ON,
    (S.OFF, E.TURNED_OFF): S.OFF,
    (S.OFF, E.CHANGED): S.OFF,
}
START = S.ON


@dataclass(frozen=True, slots=True)
class Channel:
    """One way to tell one person.

    name: unique among the principal's channels. settings: by means, see `checked_settings`; never a secret. kinds: of
    notices that it wants. sessions: only those that one of these patterns fits (see `fits`); empty: all.
    """

    id: ChannelId
    principal: str
    name: str
    means: Means
    state: S
    created_at: float
    settings: Mapping[str, Any] = field(default_factory=dict)
    kinds: tuple[str, ...] = ()
    sessions: tuple[str, ...] = ()
    version: int = 1


def created(
    *,
    id: ChannelId,
    principal: str,
    name: str,
    means: Means,
    now: float,
    settings: Mapping[str, Any],
    kinds: Iterable[str],
    sessions: Iterable[str] = (),
) -> Channel:
    """Raises Invalid, TooLarge."""
    return Channel(
        id=id,
        principal=principal,
        name=checked_name(name, "the channel's name"),
        means=means,
        state=START,
        created_at=now,
        settings=checked_settings(means, settings),
        kinds=tuple(dict.fromkeys(kinds)),
        sessions=checked_sessions(sessions),
    )


def turned(channel: Channel, *, on: bool) -> Channel:
    """Turned on or off. Safe to repeat."""
    state = moved(CHANNEL, channel.state, E.TURNED_ON if on else E.TURNED_OFF, f"channel {channel.name}")
    return replace(channel, state=state)


def changed(
    channel: Channel,
    *,
    name: str | None = None,
    settings: Mapping[str, Any] | None = None,
    kinds: Iterable[str] | None = None,
    sessions: Iterable[str] | None = None,
) -> Channel:
    """Another name, other settings, kinds or sessions; None: as before. Raises Invalid, TooLarge."""
    state = moved(CHANNEL, channel.state, E.CHANGED, f"channel {channel.name}")
    return replace(
        channel,
        state=state,
        name=channel.name if name is None else checked_name(name, "the channel's name"),
        settings=channel.settings if settings is None else checked_settings(channel.means, settings),
        kinds=channel.kinds if kinds is None else tuple(dict.fromkeys(kinds)),
        sessions=channel.sessions if sessions is None else checked_sessions(sessions),
    )


def check_version(channel: Channel, expected: int | None) -> None:
    """Raises Conflict when the caller decided on an older version than the present one."""
    if expected is not None and channel.version != expected:
        raise Conflict(
            f"channel {channel.name} is at version {channel.version}, not {expected}: somebody changed it meanwhile",
            version=channel.version,
        )


# -- which sessions ---------------------------------------------------------------------------------------------------


def checked_sessions(patterns: Iterable[str]) -> tuple[str, ...]:
    """Raises Invalid, TooLarge."""
    found = tuple(dict.fromkeys(patterns))
    if len(found) > SESSIONS_MAX:
        raise TooLarge(f"{len(found)} session patterns are too many; at most {SESSIONS_MAX} are allowed")
    for pattern in found:
        _checked_text(pattern, "a session pattern", PATTERN_LENGTH_MAX)
    return found


def wants(channel: Channel, kind: str, session: Session) -> bool:
    """Is the channel on, and does it want this kind of notice about this session?"""
    is_on = channel.state == S.ON and kind in channel.kinds
    return is_on and (not channel.sessions or any(fits(pattern, session) for pattern in channel.sessions))


def fits(pattern: str, session: Session) -> bool:
    """NAME (alias or id, with * and ? as in file names), or KEY=VALUE of a label (VALUE the same)."""
    key, is_label, value = pattern.partition("=")
    if is_label:
        return key in session.labels and fnmatchcase(session.labels[key], value)
    return fnmatchcase(session.name, pattern) or session.id == pattern


# -- settings ---------------------------------------------------------------------------------------------------------


def checked_settings(means: Means, settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings, whole and in order, if the means can work with them. Raises Invalid, TooLarge.

    webhook  url
    mail     host, port, security (starttls | tls | none), sender, recipients, login ("": none), password_file ("": the
             secret, if there is a login)
    command  argv
    desktop  environment (DISPLAY and the like)
    """
    check, allowed = _CHECKS[means]
    unknown = sorted(settings.keys() - set(allowed))
    if unknown:
        raise Invalid(f"a {means} has no setting {unknown[0][:40]!r}", next_step=f"it has {', '.join(allowed)}")
    return check(settings)


def _webhook(settings: Mapping[str, Any]) -> dict[str, Any]:
    url = _checked_text(settings.get("url", ""), "the URL", URL_LENGTH_MAX)
    step = "it looks like https://host/path"
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise Invalid(f"the URL cannot be read: {error}", next_step=step) from None
    if parts.scheme not in ("http", "https") or not parts.hostname or not url.isascii() or " " in url:
        raise Invalid("the URL is no http or https address", next_step=step)
    if parts.username is not None or parts.password is not None:
        raise Invalid("the URL holds a user or a password", next_step="leave it out; the secret signs what is sent")
    if parts.fragment or port == 0:
        raise Invalid("the URL has a fragment, or port 0", next_step=step)
    return {"url": url}


def _mail(settings: Mapping[str, Any]) -> dict[str, Any]:
    security = settings.get("security", "starttls")
    if security not in PORTS:
        raise Invalid(f"security {str(security)[:40]!r} is none of {', '.join(PORTS)}")
    host = _checked_text(settings.get("host", ""), "the mail server", HOST_LENGTH_MAX)
    if not _HOST.fullmatch(host):
        raise Invalid(f"the mail server {host[:60]!r} is no host name or address")
    port = settings.get("port") or PORTS[security]
    if not isinstance(port, int) or not 1 <= port <= 65535:
        raise Invalid("the mail server's port is a number from 1 to 65535")
    recipients = settings.get("recipients", [])
    if not isinstance(recipients, (list, tuple)) or not 1 <= len(recipients) <= RECIPIENTS_MAX:
        raise Invalid(f"a mail has 1 to {RECIPIENTS_MAX} recipients")
    recipients = [_address(one, "the recipient") for one in recipients]
    login = _checked_text(settings.get("login", ""), "the login", ADDRESS_LENGTH_MAX, empty=True)
    password_file = _checked_text(settings.get("password_file", ""), "the password file", PATH_LENGTH_MAX, empty=True)
    if password_file and not password_file.startswith("/"):
        raise Invalid("the password file is an absolute path")
    if password_file and not login:
        raise Invalid("a password without a login", next_step="give the login, too")
    if login and security == "none" and host not in LOOPBACK:
        raise Invalid("a password would travel in the clear", next_step="take security starttls or tls")
    sender = _address(settings.get("sender") or recipients[0], "the sender")
    return {
        "host": host, "port": port, "security": security, "sender": sender, "recipients": recipients, "login": login,
        "password_file": password_file,
    }  # fmt: skip


def _address(text: object, what: str) -> str:
    address = _checked_text(text, what, ADDRESS_LENGTH_MAX)
    if not _ADDRESS.fullmatch(address):
        raise Invalid(f"{what} {address[:60]!r} is no mail address", next_step="it looks like name@example.org")
    return address


def _command(settings: Mapping[str, Any]) -> dict[str, Any]:
    argv = settings.get("argv", [])
    if not isinstance(argv, (list, tuple)) or not argv or not argv[0]:
        raise Invalid("the command is empty", next_step="give a command after --")
    if len(argv) > ARGV_MAX:
        raise TooLarge(f"the command has {len(argv)} words; at most {ARGV_MAX} are allowed")
    return {"argv": [_checked_text(word, "a word of the command", ARGUMENT_LENGTH_MAX, empty=True) for word in argv]}


def _desktop(settings: Mapping[str, Any]) -> dict[str, Any]:
    given = settings.get("environment", {})
    if not isinstance(given, Mapping):
        raise Invalid("the environment is an object of variables")
    unknown = sorted(given.keys() - set(DISPLAY_VARIABLES))
    if unknown:
        raise Invalid(f"{unknown[0][:40]!r} is none of {', '.join(DISPLAY_VARIABLES)}")
    return {"environment": {name: _checked_text(given[name], name, PATH_LENGTH_MAX) for name in sorted(given)}}


_CHECKS = {
    Means.WEBHOOK: (_webhook, ("url",)),
    Means.MAIL: (_mail, ("host", "port", "security", "sender", "recipients", "login", "password_file")),
    Means.COMMAND: (_command, ("argv",)),
    Means.DESKTOP: (_desktop, ("environment",)),
}


def _checked_text(text: object, what: str, length_max: int, *, empty: bool = False) -> str:
    if not isinstance(text, str):
        raise Invalid(f"{what} is a text")
    if not text and not empty:
        raise Invalid(f"{what} is missing")
    if len(text) > length_max:
        raise TooLarge(f"{what} has {len(text)} characters; at most {length_max} are allowed")
    if any(not c.isprintable() for c in text):
        raise Invalid(f"{what} holds a control character")
    return text


# -- secrets ----------------------------------------------------------------------------------------------------------


def needs_secret(channel: Channel) -> bool:
    """Is there no telling without a secret?"""
    if channel.means == Means.MAIL:
        return bool(channel.settings["login"]) and not channel.settings["password_file"]
    return channel.means == Means.WEBHOOK


def takes_secret(means: Means) -> bool:
    """May a secret be given?"""
    return means in (Means.WEBHOOK, Means.MAIL)


def checked_secret(means: Means, secret: str) -> bytes:
    """What is kept of a secret that was given. Its words never stand in an error. Raises Invalid."""
    if means == Means.MAIL:
        if not 1 <= len(secret) <= PASSWORD_LENGTH_MAX or any(not c.isprintable() for c in secret):
            raise Invalid(f"the password has 1 to {PASSWORD_LENGTH_MAX} characters and no control characters")
        return secret.encode()
    if means != Means.WEBHOOK:
        raise Invalid(f"a {means} takes no secret")
    step = f"it is {SIGNING_PREFIX} and base64 of {SIGNING_BYTES_MIN} to {SIGNING_BYTES_MAX} bytes; or leave it out"
    try:
        key = base64.b64decode(secret.removeprefix(SIGNING_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        raise Invalid("the secret is not valid base64", next_step=step) from None
    if not SIGNING_BYTES_MIN <= len(key) <= SIGNING_BYTES_MAX:
        raise Invalid(f"the secret has {len(key)} bytes", next_step=step)
    return key


def shown_secret(key: bytes) -> str:
    """A signing key as its receiver needs it. Source: Standard Webhooks 1.0."""
    return SIGNING_PREFIX + base64.b64encode(key).decode()
