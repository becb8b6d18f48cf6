"""A notice as a signed HTTP POST. Source: Standard Webhooks 1.0 (headers, signed content, `v1,` signatures).

Every try is signed anew over its own time, so a receiver can refuse what is older than some minutes (somebody sends a
recorded request again), and drops an id that it has seen. Redirects are not followed: a signed notice goes where its
owner said and nowhere else. The answer's body is not kept.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import ssl
from functools import cache
from typing import TYPE_CHECKING

import msgspec

from hawse import __version__
from hawse.domain.errors import Invalid, Unavailable
from hawse.ports.notifier import Parcel

if TYPE_CHECKING:
    import httpx

CONNECT_S = 10.0
ANSWER_S = 20.0  # of silence; the whole try has a deadline of its own
ANSWER_BYTES_MAX = 64 * 1024  # read, so that the receiver need not see a reset; more is cut off
CAUSES_MAX = 20  # looked through for what went wrong
GONE = 410  # Standard Webhooks: the receiver wants no more
_encode = msgspec.json.Encoder().encode


def signature(key: bytes, id: str, timestamp: int, body: bytes) -> str:
    """`v1,` and base64 of HMAC-SHA256 over `id.timestamp.body`."""
    signed = hmac.digest(key, f"{id}.{timestamp}.".encode() + body, hashlib.sha256)
    return f"v1,{base64.b64encode(signed).decode()}"


def headers(parcel: Parcel, body: bytes) -> dict[str, str]:
    """What goes with the body."""
    timestamp = int(parcel.now)
    told = {
        "content-type": "application/json",
        "user-agent": f"hawse/{__version__}",
        "webhook-id": parcel.notice.id,
        "webhook-timestamp": str(timestamp),
    }
    if parcel.secret is not None:
        told["webhook-signature"] = signature(parcel.secret, parcel.notice.id, timestamp, body)
    return told


class Webhook:
    """See ports/notifier.py. settings: url."""

    async def send(self, parcel: Parcel) -> None:
        import httpx  # 0.2 s, and only who has a webhook needs it

        body = _encode(parcel.document)
        limits = httpx.Timeout(ANSWER_S, connect=CONNECT_S)
        try:
            async with httpx.AsyncClient(verify=_tls(), timeout=limits, follow_redirects=False) as client:
                url = parcel.settings["url"]
                async with client.stream("POST", url, content=body, headers=headers(parcel, body)) as answer:
                    await _drain(answer)
        except httpx.TimeoutException as error:
            raise Unavailable(f"no answer: {_kind(error)}") from error
        except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
            raise Invalid(f"the URL cannot be used: {error}") from error
        except (httpx.HTTPError, OSError) as error:
            raise Unavailable(f"it cannot be reached: {_why(error)}") from error
        _judge(answer)


@cache
def _tls() -> ssl.SSLContext:
    """The host's own certificates (SSL_CERT_FILE, SSL_CERT_DIR), as every other program here trusts them."""
    return ssl.create_default_context()


async def _drain(answer: httpx.Response) -> None:
    size = 0
    async for part in answer.aiter_raw():
        size += len(part)
        if size > ANSWER_BYTES_MAX:
            return


def _judge(answer: httpx.Response) -> None:
    status = answer.status_code
    if 200 <= status < 300:
        return
    if status == GONE:
        raise Invalid("it answered 410: it wants no more notices")
    if 300 <= status < 400:
        raise Unavailable(f"it answered {status}, which sends elsewhere; that is not followed")
    raise Unavailable(f"it answered {status}")


def _why(error: BaseException) -> str:
    """What the system said in the end ("Connection refused"), else what was said first."""
    said, at = str(error) or type(error).__name__, error
    for _ in range(CAUSES_MAX):
        if isinstance(at, OSError) and at.strerror:
            said = at.strerror
        below = at.exceptions[0] if isinstance(at, BaseExceptionGroup) else at.__cause__ or at.__context__
        if below is None:
            break
        at = below
    return said


def _kind(error: Exception) -> str:
    return {"ConnectTimeout": "no connection in time", "ReadTimeout": "it was silent for too long"}.get(
        type(error).__name__, type(error).__name__
    )
