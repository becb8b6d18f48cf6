"""Who is meant: names of this host's users and groups as principals, and back."""

from __future__ import annotations

from hawse.domain.errors import Invalid, NotFound

KINDS = ("uid", "user", "group")


def principal_of(text: str) -> str:
    """What grants call somebody: "ada" -> "uid:1001" (a user of this host), "@staff" -> "group:staff".

    "uid:1001", "user:ada" and "group:staff" stay as they are: the coordinator judges them. Raises NotFound, Invalid.
    """
    kind, colon, rest = text.partition(":")
    if colon:
        if kind not in KINDS or not rest:
            raise Invalid(
                f"{text!r} names nobody", next_step="give a user's name, @GROUP, uid:N, user:NAME or group:NAME"
            )
        return text
    if text.startswith("@"):
        return _group(text[1:])
    return _user(text)


def _user(name: str) -> str:
    import pwd

    try:
        return f"uid:{pwd.getpwnam(name).pw_uid}"
    except (KeyError, ValueError):
        from hawse.client.names import did_you_mean

        near = did_you_mean(name, (one.pw_name for one in pwd.getpwall()))
        raise NotFound(
            f"this machine has no user {name!r}{near}", next_step="a user without a name here: uid:N, or user:NAME"
        ) from None


def _group(name: str) -> str:
    import grp

    try:
        grp.getgrnam(name)
    except (KeyError, ValueError):
        from hawse.client.names import did_you_mean

        near = did_you_mean(name, (one.gr_name for one in grp.getgrall()))
        raise NotFound(f"this machine has no group {name!r}{near}", next_step="one of elsewhere: group:NAME") from None
    return f"group:{name}"


def name_of(principal: str) -> str:
    """How a person reads it: "ada (uid:1001)"; as it is when this host has no name for it."""
    kind, _, rest = principal.partition(":")
    if kind == "group":
        return f"@{rest}"
    if kind != "uid" or not rest.isdecimal():
        return principal
    import pwd

    try:
        return f"{pwd.getpwuid(int(rest)).pw_name} ({principal})"
    except (KeyError, OverflowError):
        return principal
