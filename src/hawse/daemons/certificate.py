"""The service's certificate: what TLS is told, read again on request; and until when it is good."""

from __future__ import annotations

import logging
import ssl
from dataclasses import dataclass

from hawse.daemons.site import HttpsListener
from hawse.domain.errors import Invalid

log = logging.getLogger("hawse.certificate")
WARN_S = 14 * 86400.0


@dataclass(frozen=True, slots=True)
class Known:
    """names: for whom it is. expires_at: Unix seconds."""

    names: tuple[str, ...]
    expires_at: float


class Certificate:
    """A context for all connections of one listener. What `reload` reads counts for connections that come later."""

    def __init__(self, listener: HttpsListener) -> None:
        """Raises Invalid."""
        self._listener = listener
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.minimum_version = ssl.TLSVersion.TLSv1_2
        self.context.set_alpn_protocols(["http/1.1"])
        self.context.options |= ssl.OP_NO_RENEGOTIATION
        self.known = self._load()

    def _load(self) -> Known:
        known = look(self._listener.certificate)
        try:
            self.context.load_cert_chain(self._listener.certificate, self._listener.key)
        except ssl.SSLError as error:
            why = (
                "the key is not the certificate's" if "MISMATCH" in (error.reason or "") else "it is damaged, or locked"
            )
            raise Invalid(f"the key {self._listener.key} cannot be used: {why}") from error
        except OSError as error:
            raise Invalid(f"{self._listener.key}: {error.strerror}") from error
        return known

    def reload(self) -> None:
        """Read the files again. What cannot be used is told in the log, and the old one stays."""
        try:
            probe = Certificate(self._listener)  # a half written pair must not spoil the context that serves
            self.context.load_cert_chain(self._listener.certificate, self._listener.key)
        except (Invalid, OSError) as error:
            log.error("the new certificate is not taken, the old one stays: %s", error)
            return
        self.known = probe.known
        log.info("the certificate was read again; it is for %s", ", ".join(self.known.names))

    def tell(self, now: float) -> None:
        """Warn when it is over or soon will be."""
        left = self.known.expires_at - now
        if left <= 0:
            log.error("the certificate has expired: clients refuse it; hawse ca issue, then SIGHUP")
        elif left < WARN_S:
            log.warning("the certificate expires in %.1f days; hawse ca issue, then SIGHUP", left / 86400)


def look(path: str) -> Known:
    """What a certificate says. Raises Invalid."""
    try:
        from cryptography import x509
    except ImportError as error:
        raise Invalid("https needs the extra site", next_step="pip install 'hawse[site]'") from error
    try:
        with open(path, "rb") as file:
            found = x509.load_pem_x509_certificate(file.read(1 << 20))
    except OSError as error:
        raise Invalid(f"the certificate {path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise Invalid(f"{path} holds no certificate in PEM") from error
    try:
        names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        told = (*names.get_values_for_type(x509.DNSName), *map(str, names.get_values_for_type(x509.IPAddress)))
    except x509.ExtensionNotFound:
        told = ()
    return Known(tuple(told), found.not_valid_after_utc.timestamp())
