"""`/v1/surroundings`: what a job of the caller's gets that is told nothing else, where the caller is elsewhere.

The same document as `hawse proxy --surroundings` gives over ssh (spec 09, section 4), from the account alone: nobody
logs in, so no start-up file is read.
"""

from __future__ import annotations

import asyncio
import os
import pwd
from binascii import b2a_base64

import msgspec
from litestar import Response, get

from hawse.api.rest.caller import AnyRequest, visit_of
from hawse.api.rest.response import answered
from hawse.domain.errors import NotFound

PATH = "/usr/local/bin:/usr/bin:/bin"
UMASK = 0o022
_encode = msgspec.json.Encoder().encode


class Surroundings(msgspec.Struct):
    """Names, values and the folder in base64: they may be any bytes."""

    env: dict[str, str]
    cwd: str
    umask: int


@get("/v1/surroundings", operation_id="get_surroundings", tags=["service"])
async def surroundings(request: AnyRequest) -> Response[Surroundings]:
    """Environment, working directory and umask of the account as which the caller's jobs run."""
    visit = visit_of(request)
    uid = await visit.desk.account_of(visit.caller.principal)
    account = None if uid is None else await asyncio.to_thread(_account, uid)
    if account is None:
        raise NotFound(
            f"{visit.caller.principal} has no account on this machine: no job can run for it",
            next_step="ask who runs the service for an account: hawse users",
            noun="account",
        )
    environment = {
        "HOME": account.pw_dir, "LOGNAME": account.pw_name, "USER": account.pw_name,
        "SHELL": account.pw_shell or "/bin/sh", "PATH": PATH,
    }  # fmt: skip
    told = Surroundings({_text(k): _text(v) for k, v in environment.items()}, _text(account.pw_dir or "/"), UMASK)
    return answered(_encode(told))


def _account(uid: int) -> pwd.struct_passwd | None:
    """Blocks for as long as the host's name service does."""
    try:
        return pwd.getpwuid(uid)
    except KeyError:
        return None


def _text(value: str) -> str:
    return b2a_base64(os.fsencode(value), newline=False).decode("ascii")


HANDLERS = [surroundings]
