"""`hawse ca`."""

from __future__ import annotations

import click

from hawse.cli.options import Numbers, complete_folder, json_option
from hawse.cli.say import json_out, out

TYPE_CHECKING = False
if TYPE_CHECKING:
    import datetime

    from cryptography import x509

DAYS_MAX = 36500

_dir_option = click.option(
    "--dir",
    "folder",
    metavar="DIR",
    shell_complete=complete_folder,
    help="The authority's folder (default: CONFIG/ca).",
)


def _folder(folder: str | None) -> str:
    import os

    from hawse.client.places import own_places

    return os.path.abspath(folder) if folder else f"{own_places().config}/ca"


def _now() -> datetime.datetime:
    """Raises Unavailable: the extra is not installed."""
    import datetime
    from importlib.util import find_spec

    from hawse.domain.errors import Unavailable

    if find_spec("cryptography") is None:
        raise Unavailable("hawse ca needs the extra site", next_step="pip install 'hawse[site]'")
    return datetime.datetime.now(datetime.UTC).replace(microsecond=0)


@click.group()
def command() -> None:
    """Make certificates for a site's service: a small authority for a first try.

    \b
    hawse ca init
    hawse ca issue cluster.example.org 192.0.2.7
    hawse ca show
    """


@command.command()
@_dir_option
@click.option("--name", metavar="NAME", default="hawse", show_default=True, help="What the authority is called.")
@click.option(
    "--days", type=Numbers(1, DAYS_MAX, whole=True), default=3650, show_default=True, help="How long it lasts."
)
@json_option
def init(folder: str | None, name: str, days: float, as_json: bool) -> int:
    """Make an authority: a key that stays here, and a certificate that every client is given.

    \b
    hawse ca init
    """
    from hawse.cli.ca.authority import Authority

    now, made = _now(), Authority(_folder(folder))
    made.init(name, days=int(days), now=now)
    if as_json:
        json_out({"certificate": made.certificate, "key": made.key})
        return 0
    out(f"give this to every client, as HAWSE_CA: {made.certificate}")
    out(f"keep this, it makes certificates:       {made.key}")
    out("now: hawse ca issue NAME-OF-THE-SERVER")
    return 0


@command.command()
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@_dir_option
@click.option(
    "--out",
    "target",
    metavar="DIR",
    shell_complete=complete_folder,
    help="Where to write (default: the authority's folder).",
)
@click.option("--days", type=Numbers(1, DAYS_MAX, whole=True), default=90, show_default=True, help="How long it lasts.")
@json_option
def issue(names: tuple[str, ...], folder: str | None, target: str | None, days: float, as_json: bool) -> int:
    """Make a certificate, and its key, for a server with these NAMEs: each a host's name or an address.

    A certificate that is there already is replaced; then tell the service: kill -HUP, or systemctl reload hawse.

    \b
    hawse ca issue cluster.example.org localhost 127.0.0.1 --out /etc/hawse
    """
    import os

    from hawse.cli.ca.authority import Authority

    now, where = _now(), _folder(folder)
    certificate, key, made = Authority(where).issue(
        names, os.path.abspath(target) if target else where, days=int(days), now=now
    )
    if as_json:
        json_out({"certificate": certificate, "key": key, "expires_at": made.not_valid_after_utc.timestamp()})
        return 0
    out(f"certificate: {certificate}")
    out(f"key:         {key}")
    out(f"until:       {_day(made)}")
    return 0


@command.command()
@click.argument("file", required=False, metavar="[FILE]")
@_dir_option
@json_option
def show(file: str | None, folder: str | None, as_json: bool) -> int:
    """Show a certificate, or the authority's own: for whom it is, by whom, and until when. 1 when it has expired.

    \b
    hawse ca show
    hawse ca show /etc/hawse/cluster.example.org.pem
    """
    from hawse.cli.ca.authority import Authority, names_of, read

    now = _now()
    path = file or Authority(_folder(folder)).certificate
    found = read(path)
    left = (found.not_valid_after_utc - now).total_seconds()
    told = {
        "file": path,
        "subject": found.subject.rfc4514_string(),
        "issuer": found.issuer.rfc4514_string(),
        "names": names_of(found),
        "not_before": found.not_valid_before_utc.timestamp(),
        "expires_at": found.not_valid_after_utc.timestamp(),
        "sha256": _print(found),
    }
    if as_json:
        json_out(told)
    else:
        out(f"file:    {path}")
        out(f"for:     {', '.join(names_of(found)) or told['subject']}")
        out(f"by:      {told['issuer']}")
        out(f"until:   {_day(found)}{'' if left > 0 else ', which is over'}")
        out(f"sha256:  {told['sha256']}")
    return 0 if left > 0 else 1


def _day(certificate: x509.Certificate) -> str:
    return certificate.not_valid_after_utc.strftime("%Y-%m-%d %H:%M UTC")


def _print(certificate: x509.Certificate) -> str:
    from cryptography.hazmat.primitives import hashes

    return certificate.fingerprint(hashes.SHA256()).hex(":")
