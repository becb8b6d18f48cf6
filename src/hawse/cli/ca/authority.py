"""A small certification authority in a folder: ca.pem, ca.key, and what it issued.

For a first try and for small sites; who has an authority of his own uses that one. Elliptic curve P-256: small, fast,
known to every TLS library. Keys are never encrypted (a service starts without anybody there) and only their user can
read them. Source of the extensions: RFC 5280, section 4.2.
"""

from __future__ import annotations

import datetime
import ipaddress
import os
import re
import stat

from hawse.domain.errors import Clash, Denied, Invalid, NotFound, Unavailable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

NAMES_MAX = 100
DAYS_MAX = 3650
FILE_BYTES_MAX = 1 << 20
CLOCKS_DIFFER = datetime.timedelta(hours=1)
_DNS = re.compile(
    r"(?:\*\.)?(?:[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9])?\.)*[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9])?"
)


class Authority:
    """The authority in a folder."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self.certificate = f"{folder}/ca.pem"
        self.key = f"{folder}/ca.key"

    def init(self, name: str, *, days: int, now: datetime.datetime) -> None:
        """Make its key and its certificate. Raises Clash (there is one), Invalid, Denied, Unavailable."""
        from cryptography import x509

        if not name or len(name) > 64:
            raise Invalid("an authority's name has 1 to 64 characters")
        for path in (self.key, self.certificate):
            if os.path.lexists(path):
                raise Clash(
                    f"there is an authority already: {path}", next_step="use it: hawse ca issue NAME; or another --dir"
                )
        self._make_folder()
        key = _new_key()
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        builder = (
            _begun(subject, subject, key, now=now, days=days)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(signs_certificates=True), critical=True)
        )
        _write(self.key, _pem_key(key), 0o600)
        _write(self.certificate, _pem(_signed(builder, key, key)), 0o644)

    def issue(
        self, names: Sequence[str], out: str, *, days: int, now: datetime.datetime
    ) -> tuple[str, str, x509.Certificate]:
        """A certificate for a server with these names, and its key: their paths. What was there is replaced.

        Raises NotFound (there is no authority), Invalid, Denied, Unavailable.
        """
        from cryptography import x509
        from cryptography.x509.oid import ExtendedKeyUsageOID

        told = [alternative(name) for name in names]
        if not 0 < len(told) <= NAMES_MAX:
            raise Invalid(f"a certificate has 1 to {NAMES_MAX} names")
        own, own_key = self._own()
        if own.not_valid_after_utc <= now:
            raise Invalid(
                f"the authority in {self.folder} has expired", next_step="make another one: hawse ca init --dir DIR"
            )
        key = _new_key()
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, names[0][:64])])
        days_left = (own.not_valid_after_utc - now) / datetime.timedelta(days=1)
        builder = (
            _begun(subject, own.subject, key, now=now, days=min(days, days_left))
            .add_extension(x509.SubjectAlternativeName(told), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(signs_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        )
        made = _signed(builder, own_key, key)
        base = f"{out}/{re.sub('[^A-Za-z0-9._-]', '_', names[0])}"
        # The key first: a service that reads both between the two sees a pair that does not fit, and keeps its old one.
        _replace(f"{base}.key", _pem_key(key), 0o600)
        _replace(f"{base}.pem", _pem(made) + _pem(own), 0o644)
        return f"{base}.pem", f"{base}.key", made

    def _own(self) -> tuple[x509.Certificate, EllipticCurvePrivateKey]:
        from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
        from cryptography.hazmat.primitives.serialization import load_pem_private_key

        if not os.path.exists(self.key):
            raise NotFound(f"there is no authority in {self.folder}", next_step="hawse ca init")
        if os.stat(self.key).st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise Denied(f"others can read the authority's key {self.key}", next_step=f"chmod 600 {self.key}")
        try:
            with open(self.key, "rb") as file:
                key = load_pem_private_key(file.read(FILE_BYTES_MAX), None)
        except (OSError, ValueError, TypeError) as error:
            raise Invalid(f"{self.key} holds no key that can be used") from error
        if not isinstance(key, EllipticCurvePrivateKey):
            raise Invalid(f"{self.key} was not made by hawse ca init")
        return read(self.certificate), key

    def _make_folder(self) -> None:
        try:
            os.makedirs(os.path.dirname(self.folder) or "/", exist_ok=True)
            os.mkdir(self.folder, 0o700)
        except FileExistsError:
            if os.stat(self.folder).st_mode & 0o022:
                raise Denied(f"others can write to {self.folder}", next_step=f"chmod 700 {self.folder}") from None
        except OSError as error:
            raise Unavailable(f"{self.folder}: {error.strerror}") from error


def read(path: str) -> x509.Certificate:
    """The first certificate in a file. Raises NotFound, Invalid."""
    from cryptography import x509

    try:
        with open(path, "rb") as file:
            return x509.load_pem_x509_certificate(file.read(FILE_BYTES_MAX))
    except FileNotFoundError as error:
        raise NotFound(f"there is no file {path}") from error
    except OSError as error:
        raise Invalid(f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise Invalid(f"{path} holds no certificate in PEM") from error


def names_of(certificate: x509.Certificate) -> list[str]:
    """For whom it is."""
    from cryptography import x509

    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    return [*found.get_values_for_type(x509.DNSName), *map(str, found.get_values_for_type(x509.IPAddress))]


def alternative(name: str) -> x509.GeneralName:
    """A host's name or address as a certificate has it. Raises Invalid."""
    from cryptography import x509

    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        if len(name) > 253 or not _DNS.fullmatch(name):
            raise Invalid(
                f"{name[:80]!r} is not the name of a host", next_step="names as in cluster.example.org, or addresses"
            ) from None
        return x509.DNSName(name)


def _new_key() -> EllipticCurvePrivateKey:
    from cryptography.hazmat.primitives.asymmetric import ec

    return ec.generate_private_key(ec.SECP256R1())


def _begun(
    subject: x509.Name, issuer: x509.Name, key: EllipticCurvePrivateKey, *, now: datetime.datetime, days: float
) -> x509.CertificateBuilder:
    from cryptography import x509

    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - CLOCKS_DIFFER)
        .not_valid_after(now + datetime.timedelta(days=days))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    from cryptography import x509

    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _signed(
    builder: x509.CertificateBuilder, by: EllipticCurvePrivateKey, key: EllipticCurvePrivateKey
) -> x509.Certificate:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes

    if by is not key:
        identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(by.public_key())
        builder = builder.add_extension(identifier, critical=False)
    return builder.sign(by, hashes.SHA256())


def _pem(certificate: x509.Certificate) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding

    return certificate.public_bytes(Encoding.PEM)


def _pem_key(key: EllipticCurvePrivateKey) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _write(path: str, data: bytes, mode: int) -> None:
    """A new file, whole on the disk. Raises Unavailable, Clash."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with open(descriptor, "wb") as file:
            file.write(data)
            os.fchmod(descriptor, mode)
            file.flush()
            os.fsync(descriptor)
    except FileExistsError as error:
        raise Clash(f"{path} is there already") from error
    except OSError as error:
        raise Unavailable(f"{path}: {error.strerror}", next_step="choose a folder of your own: --out DIR") from error


def _replace(path: str, data: bytes, mode: int) -> None:
    """A file in the place of the one that may be there, in one step. Raises Unavailable."""
    aside = f"{path}.{os.getpid()}"
    _write(aside, data, mode)
    try:
        os.replace(aside, path)
    except OSError as error:
        os.unlink(aside)
        raise Unavailable(f"{path}: {error.strerror}") from error
