"""`hawse audit`."""

from __future__ import annotations

import sys

import click

from hawse.cli.options import Connection, Numbers, connected, json_option
from hawse.cli.say import note

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hawse.client.records_site import AuditInfo

LAST = 50


@click.command()
@click.option("-f", "--follow", is_flag=True, help="Go on with what is to come.")
@click.option("--from", "from_", type=Numbers(1, whole=True), metavar="N", help="From entry N on (1: all).")
@json_option
@connected()
def command(follow: bool, from_: int | None, as_json: bool, connection: Connection) -> int:
    """Print the audit log: who changed a right or ended something, from where, when. For admins.

    Without --from the newest are printed. With --json one object per line. Numbers may have gaps.

    \b
    hawse audit
    hawse audit -f --json
    hawse audit --from 1
    """
    from hawse.cli.table import columns_of, fold

    columns = columns_of(sys.stdout)
    site = connection.open().site
    first = from_ if from_ is not None else max(1, site.last_audit() - LAST + 1)
    empty = True
    try:
        for entry in site.audit(first, follow=follow):
            empty = False
            if as_json:
                import json

                sys.stdout.write(json.dumps(entry.raw, ensure_ascii=False) + "\n")
            else:
                sys.stdout.write((fold(_line(entry), columns, indent=8) if columns else _line(entry)) + "\n")
            if follow:
                sys.stdout.flush()
    except KeyboardInterrupt:
        return 130
    if empty:
        note("nothing is in the audit log" + ("" if from_ is None else f" from {from_} on"))
    return 0


def _line(entry: AuditInfo) -> str:
    from hawse.cli.table import printable
    from hawse.cli.words import moment

    told = ", ".join(f"{key}={_word(value)}" for key, value in entry.detail.items() if value not in (None, "", [], {}))
    by = entry.by or "nobody known"
    where = f" ({entry.where})" if entry.where else ""
    return printable(
        f"{entry.seq:>6}  {moment(entry.time)}  {entry.kind:<20}  {entry.object}  by {by}{where}  {told}".rstrip()
    )


def _word(value: object) -> str:
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)
