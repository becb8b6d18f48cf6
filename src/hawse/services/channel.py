"""The verbs of channels: add, page, get, change, turn on and off, remove, test. One's own only.

A channel that runs a program, or reads a file, does so as the coordinator's user. So only he may have one; where a
coordinator serves many people as nobody's own, there is none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hawse.domain import channel as channels
from hawse.domain import notice as notices
from hawse.domain import notice_words
from hawse.domain.channel import OF_THE_HOST, Channel, Means
from hawse.domain.effect import SendNotice
from hawse.domain.errors import Clash, Denied, IllegalMove, Invalid, LimitReached, NotFound
from hawse.domain.ids import RANDOM_BYTES, ChannelId, NoticeId, checked_name, is_uuid, uuid7
from hawse.domain.notice import Kind, Notice, checked_kinds
from hawse.ports.store import Unit, View
from hawse.services.world import Caller, World, once

SIGNING_BYTES = 32


@dataclass(frozen=True, slots=True)
class NewChannel:
    """What a caller asks for. name None: after its means. kinds None: the usual ones. secret: as the caller gave it."""

    means: str
    settings: Mapping[str, Any]
    name: str | None = None
    kinds: Sequence[str] | None = None
    sessions: Sequence[str] = ()
    secret: str | None = None


@dataclass(frozen=True, slots=True)
class ChannelView:
    """A channel with how many of its notices wait and failed. secret: a signing key that was just made, told once."""

    channel: Channel
    waiting: int = 0
    failed: int = 0
    secret: str = ""


def may_have(world: World, principal: str, means: str, settings: Mapping[str, Any]) -> bool:
    """May this principal have a channel that works as the coordinator's user, if this is one?"""
    of_the_host = means in OF_THE_HOST or bool(settings.get("password_file"))
    return not of_the_host or world.owner == principal


async def add(world: World, caller: Caller, new: NewChannel) -> ChannelView:
    """Add a channel. A webhook without a secret gets one, which the view tells.

    Raises Invalid, TooLarge, Denied (it would run as somebody else), Clash (the name), LimitReached.
    If cancelled: it may or may not be there; asking again with the same request id gives it with another secret.
    """
    means = _means(new.means)
    now = world.clock.now()
    id = ChannelId(uuid7(now, world.clock.random(RANDOM_BYTES)))
    kinds = checked_kinds(new.kinds)
    made = channels.created(
        id=id, principal=caller.principal, name=means if new.name is None else new.name, means=means, now=now,
        settings=new.settings, kinds=kinds, sessions=new.sessions,
    )  # fmt: skip
    _check_means(world, made)
    secret = None if new.secret is None else channels.checked_secret(means, new.secret)
    shown = ""
    if secret is None and means == Means.WEBHOOK:
        secret = world.clock.random(SIGNING_BYTES)
        shown = channels.shown_secret(secret)
    if secret is None and channels.needs_secret(made):
        raise Invalid("the login has no password", next_step="give its password, or a file that holds it")

    def verb(unit: Unit) -> ChannelView:
        mine = unit.channels(caller.principal)
        if len(mine) >= channels.CHANNELS_MAX:
            raise LimitReached(f"you have {len(mine)} channels; at most {channels.CHANNELS_MAX} are possible")
        channel = made if new.name is not None else _named_freely(made, mine)
        unit.add_channel(channel)
        if secret is not None:
            unit.replace_secret(id, secret)
        unit.add_effects("", [SendNotice("")])
        return ChannelView(channel, secret=shown)

    return await once(world, caller, verb)


def _named_freely(channel: Channel, mine: Sequence[Channel]) -> Channel:
    """webhook, webhook-2, ..."""
    taken = {one.name for one in mine}
    names = (str(channel.means), *(f"{channel.means}-{n}" for n in range(2, channels.CHANNELS_MAX + 2)))
    return channels.changed(channel, name=next(name for name in names if name not in taken))


async def new_signing_key(world: World, caller: Caller, id: str) -> str:
    """Another signing key for a webhook; the one before signs no more. Raises NotFound, Invalid."""
    key = world.clock.random(SIGNING_BYTES)

    def verb(unit: Unit) -> None:
        channel = channel_of(unit, caller, id)
        if channel.means != Means.WEBHOOK:
            raise Invalid(f"a {channel.means} has no signing key")
        unit.replace_secret(channel.id, key)

    await world.store.write(verb)
    return channels.shown_secret(key)


def _means(text: str) -> Means:
    try:
        return Means(text)
    except ValueError:
        raise Invalid(f"there is no channel of kind {text[:40]!r}", next_step=f"{', '.join(Means)}") from None


def _check_means(world: World, channel: Channel) -> None:
    if not may_have(world, channel.principal, channel.means, channel.settings):
        what = "a password file" if channel.means == Means.MAIL else f"a channel of kind {channel.means}"
        raise Denied(
            f"{what} works as the user of the coordinator, which you are not",
            next_step="take a webhook, or a mail with its password",
        )


def channel_of(view: View, caller: Caller, name: str) -> Channel:
    """The caller's channel of this name or id. Raises NotFound, Invalid."""
    try:
        found = view.channel(name) if is_uuid(name) else view.channel_named(caller.principal, checked_name(name, "it"))
    except NotFound as error:
        raise NotFound(f"you have no channel {name!r}", next_step="hawse notify ls lists yours") from error
    if found.principal != caller.principal:  # whose it is, and that it is there, is nobody else's business
        raise NotFound(f"you have no channel {name!r}", next_step="hawse notify ls lists yours")
    return found


def seen(view: View, channel: Channel) -> ChannelView:
    """With its counts."""
    counts = view.notice_counts(channel.id)
    return ChannelView(channel, counts.get(notices.S.WAITING, 0), counts.get(notices.S.FAILED, 0))


async def page(world: World, caller: Caller) -> list[ChannelView]:
    """One's channels, by age (at most CHANNELS_MAX)."""
    return await world.store.read(lambda view: [seen(view, one) for one in view.channels(caller.principal)])


async def get(world: World, caller: Caller, name: str) -> ChannelView:
    """One channel. Raises NotFound, Invalid."""
    return await world.store.read(lambda view: seen(view, channel_of(view, caller, name)))


async def change(
    world: World,
    caller: Caller,
    name: str,
    *,
    version: int | None = None,
    new_name: str | None = None,
    on: bool | None = None,
    settings: Mapping[str, Any] | None = None,
    kinds: Sequence[str] | None = None,
    sessions: Sequence[str] | None = None,
    secret: str | None = None,
) -> ChannelView:
    """Change what is given; None: as before.

    Raises NotFound, Invalid, TooLarge, Denied, Clash, Conflict (the version is not the present one).
    """
    wanted = None if kinds is None else checked_kinds(kinds)

    def verb(unit: Unit) -> ChannelView:
        channel = channel_of(unit, caller, name)
        channels.check_version(channel, version)
        after = channels.changed(channel, name=new_name, settings=settings, kinds=wanted, sessions=sessions)
        after = after if on is None else channels.turned(after, on=on)
        _check_means(world, after)
        if secret is not None:
            unit.replace_secret(channel.id, channels.checked_secret(channel.means, secret))
        elif channels.needs_secret(after) and not channels.needs_secret(channel):
            raise Invalid("the login has no password", next_step="give its password, or a file that holds it")
        kept = channel if after == channel else unit.save_channel(channel, after)
        unit.add_effects("", [SendNotice("")])
        return seen(unit, kept)

    return await once(world, caller, verb)


async def remove(world: World, caller: Caller, name: str, *, version: int | None = None) -> ChannelView:
    """Remove a channel with its notices and its secret. Raises NotFound, Conflict, Invalid."""

    def verb(unit: Unit) -> ChannelView:
        channel = channel_of(unit, caller, name)
        channels.check_version(channel, version)
        view = seen(unit, channel)
        unit.remove_channel(channel)
        unit.add_effects("", [SendNotice("")])
        return view

    return await once(world, caller, verb)


async def test(world: World, caller: Caller, name: str) -> Notice:
    """Send a test over a channel. The notice, as it waits; how it went is to be asked.

    Raises NotFound, IllegalMove (it is off), LimitReached (too much waits in it).
    """
    now = world.clock.now()
    id = NoticeId(uuid7(now, world.clock.random(RANDOM_BYTES)))

    def verb(unit: Unit) -> Notice:
        channel = channel_of(unit, caller, name)
        if channel.state != channels.S.ON:
            raise IllegalMove(f"channel {channel.name} is off", next_step=f"hawse notify on {channel.name}")
        if unit.notice_counts(channel.id).get(notices.S.WAITING, 0) >= notices.WAITING_MAX:
            raise LimitReached(f"{notices.WAITING_MAX} notices wait in channel {channel.name} already")
        words = notice_words.test_words(channel.name)
        made = Notice(
            id=id, channel=channel.id, principal=channel.principal, kind=Kind.TEST, session="", seq=0,
            state=notices.START, created_at=now, due_at=now, since=now, subject=words.subject, text=words.text,
            command=words.command, body={"session": None, "job": None, "event": None, "detail": {}},
        )  # fmt: skip
        if not unit.add_notice(made):
            raise Clash(f"notice {id} is there already")
        unit.add_effects("", [SendNotice("")])
        return made

    return await once(world, caller, verb)
