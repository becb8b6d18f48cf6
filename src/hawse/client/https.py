"""A server over https: its address, whom it is believed to be, and what is said when it cannot be believed.

Nothing is asked of the user's machine but the standard library. Who the server is, a CA says: the system's, or the one
in HAWSE_CA. Who we are, a token says (hawse.client.token).
"""

from __future__ import annotations

import os
import re
import socket

from hawse.client.find import STARTS, Endpoint
from hawse.client.link import LinkBroken, LinkLate
from hawse.client.token import token_from
from hawse.domain.errors import Broken, Denied, Expired, Invalid, Problem, Unavailable

TYPE_CHECKING = False
if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping

    from hawse.client.tls import TlsTunnel

PORT = 443
MEND_S_MAX = 24 * 3600.0  # a laptop that comes back the next morning
_ADDRESS = re.compile(
    r"https://(?P<host>[A-Za-z0-9_](?:[A-Za-z0-9._-]{0,253}[A-Za-z0-9])?|\[[0-9A-Fa-f:.]{2,45}\])(?::(?P<port>[0-9]{1,5}))?/?"
)
# What OpenSSL says of a chain: X509_V_ERR_* of x509_vfy.h, see openssl-verification-options(1)
_NOT_YET, _EXPIRED, _NAMES = 9, 10, (62, 64)


def parse_address(address: str) -> tuple[str, int]:
    """Host and port of https://host[:port]. Raises Invalid; a password in it is never repeated."""
    found = _ADDRESS.fullmatch(address)
    port = int(found["port"]) if found and found["port"] else PORT
    if found is None or not 0 < port < 65536:
        if "@" in address:
            raise Invalid("an https address holds no user and no password", next_step="put the token into HAWSE_TOKEN")
        raise Invalid(
            f"server address {address[:200]!r} is not valid", next_step="use https://host or https://host:port"
        )
    return found["host"].strip("[]"), port


class HttpsEndpoint(Endpoint):
    """A coordinator behind TLS. ca: the file of the CA that is trusted; empty: the system's."""

    __slots__ = ("_context", "ca", "host", "name_told", "port")
    is_remote = True
    mend_s_max = MEND_S_MAX

    def __init__(self, host: str, port: int, *, ca: str, token: str, start: str) -> None:
        shown = f"[{host}]" if ":" in host else host
        address = f"https://{shown}" + (f":{port}" if port != PORT else "")
        super().__init__(address, start=start, where=None)
        self.host = shown if port == PORT else f"{shown}:{port}"
        self.port = port
        self.name_told = host
        self.ca = ca
        self.token = token
        self._context: ssl.SSLContext | None = None

    @property
    def name(self) -> str:
        """The address."""
        return self.path

    @property
    def told(self) -> str:
        """In a sentence."""
        return f"the coordinator of {self.path}"

    def tls(self, deadline: float) -> TlsTunnel:
        """A new TLS connection there. deadline: of time.monotonic().

        Raises LinkBroken, LinkLate (nobody answers; asking again may help); Denied, Expired, Broken, Unavailable.
        """
        from hawse.client.tls import TlsTunnel

        return TlsTunnel(self, self.context(), deadline)

    def context(self) -> ssl.SSLContext:
        """What is believed. Made once. Raises Invalid: the CA's file cannot be used."""
        if self._context is None:
            import ssl

            try:
                self._context = ssl.create_default_context(cafile=self.ca or None)
            except (OSError, ValueError) as error:
                reason = getattr(error, "strerror", None) or "it holds no certificate"
                raise Invalid(
                    f"the CA's certificate {self.ca} cannot be used: {reason}",
                    next_step="HAWSE_CA names the CA's certificate, in PEM",
                ) from error
            self._context.minimum_version = ssl.TLSVersion.TLSv1_2
        return self._context

    def unreachable(self, error: OSError) -> Exception:
        """Why a connection failed: a Problem when trying again cannot help, else a LinkBroken."""
        import ssl

        if isinstance(error, ssl.SSLCertVerificationError):
            return self._not_believed(error)
        if isinstance(error, ssl.SSLError):
            if isinstance(error, ssl.SSLEOFError) or error.reason is None:
                return LinkBroken("the connection was closed during the TLS handshake")
            return Broken(
                f"what answers on {self.name} does not speak TLS as we do: {error.reason.lower().replace('_', ' ')}",
                next_step="check the port; hawse speaks TLS 1.2 and 1.3",
            )
        if isinstance(error, socket.gaierror):
            return Unavailable(f"{self.name} cannot be reached: {error.strerror}", next_step="check the name")
        if isinstance(error, TimeoutError):
            return LinkLate("no answer in time")
        return LinkBroken(error.strerror or str(error))

    def _not_believed(self, error: ssl.SSLCertVerificationError) -> Problem:
        """The certificate is not to be believed; which of its faults it is decides what to do."""
        said = error.verify_message.rstrip(".")
        if error.verify_code == _EXPIRED:
            return Expired(
                f"the certificate of {self.name} has expired",
                next_step="tell who runs it; a new one is made with: hawse ca issue",
            )
        if error.verify_code == _NOT_YET:
            return Denied(f"the certificate of {self.name} is not valid yet", next_step="check the clock here: date")
        if error.verify_code in _NAMES:
            return Denied(
                f"the certificate of {self.name} is for another name: {said}",
                next_step="use the name that the certificate has, or have one made for this name",
            )
        by = f"by the CA in {self.ca}" if self.ca else "by a CA that this system trusts"
        return Denied(
            f"the certificate of {self.name} is not signed {by} ({said})",
            next_step="get the service's CA certificate from who runs it, and set HAWSE_CA to that file",
        )


def https_endpoint(address: str, *, start: str, environ: Mapping[str, str]) -> HttpsEndpoint:
    """The endpoint of an address that begins with https:. Raises Invalid, Denied."""
    if start not in STARTS:
        raise Invalid(f"start {start!r} is none of {', '.join(STARTS)}")
    host, port = parse_address(address)
    return HttpsEndpoint(host, port, ca=chosen_ca(environ), token=token_from(environ), start=start)


def chosen_ca(environ: Mapping[str, str]) -> str:
    """HAWSE_CA, else ca.pem in the configuration folder, else nothing: the system's CAs."""
    from hawse.client.places import own_places

    if environ.get("HAWSE_CA"):
        return os.path.expanduser(environ["HAWSE_CA"])
    kept = f"{own_places(environ).config}/ca.pem"
    return kept if os.path.exists(kept) else ""
